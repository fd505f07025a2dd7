"""Describes the day that was heard in one sentence."""


@custom
def describe_day(hours, *args, **kwargs):
    warmest = max(hours, key=lambda hour: hour["temperature"])
    windiest = max(hours, key=lambda hour: hour["wind"])
    sentence = (
        f"warmest at {warmest['hour']} with {warmest['temperature']} °C, "
        f"most wind at {windiest['hour']} with {windiest['wind']}"
    )
    print(sentence)
    return sentence
