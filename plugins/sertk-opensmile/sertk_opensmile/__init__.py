"""openSMILE's eGeMAPS and ComParE features as an encoder for sertk."""
