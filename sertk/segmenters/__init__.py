"""The segmenters of sertk: from a recording to the parts that the model is run on."""
