"""A site made with Flask that has a blueprint for each model in a folder."""

import os
from pathlib import Path

from flask import Flask

from serving.hosts.wsgi import blueprint

site = Flask(__name__)


@site.get("/")
def home() -> str:
    return "the site's own"


for folder in Path(os.environ["SITE_MODELS"]).iterdir():
    made = blueprint(folder.name, SERVING_MODEL=str(folder))
    site.register_blueprint(made, url_prefix=f"/models of ours/{folder.name}")
