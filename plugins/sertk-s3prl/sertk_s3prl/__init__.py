"""Any upstream of s3prl as an encoder for sertk."""
