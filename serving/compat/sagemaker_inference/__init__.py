"""What inference scripts use of AWS's ``sagemaker-inference``: its constants, codecs and errors."""
