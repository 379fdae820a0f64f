"""Where ``sagemaker_containers`` keeps all that scripts import."""
