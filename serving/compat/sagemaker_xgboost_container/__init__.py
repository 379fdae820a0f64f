"""What inference scripts use of AWS's XGBoost container."""
