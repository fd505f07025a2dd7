// Where pages are not ours: the times of the top bar.
import { showTimes } from "./times.js";
showTimes();
setInterval(showTimes, 1000);
