// Long lists to choose from can be typed into; without this they are plain lists.
for (const select of document.querySelectorAll("select[data-pick]"))
  new TomSelect(select, { maxOptions: 200, plugins: ["dropdown_input"], onItemAdd() { this.blur(); }, onInitialize() { this.input.ariaHidden = true; } });
