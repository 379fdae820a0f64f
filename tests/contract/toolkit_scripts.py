"""Scripts as they are written for AWS's toolkits, and some that tell what they were given."""

STAGES = """
import json

calls = []


def pre_model_fn(model_dir):
    calls.append(["pre_model_fn", model_dir])


def model_fn(model_dir):
    calls.append(["model_fn", model_dir])
    return {"name": "a model"}


def model_warmup_fn(model_dir, model):
    calls.append(["model_warmup_fn", model_dir, model])


def input_fn(input_data, content_type):
    text = input_data if isinstance(input_data, str) else input_data.decode("latin-1")
    return {"type": type(input_data).__name__, "content_type": content_type, "text": text}


def predict_fn(data, model):
    return {"input": data, "model": model, "calls": calls}


def output_fn(prediction, accept):
    if prediction["input"]["text"] == "a pair":
        return "<p>", "text/html"
    return json.dumps({**prediction, "accept": accept})
"""
"""All seven functions but transform_fn, without a context; tells what each was given."""

CONTEXT = """
import json


def pre_model_fn(model_dir, context):
    assert context.system_properties["model_dir"] == model_dir


def model_fn(model_dir, context):
    return {"properties": context.system_properties}


def model_warmup_fn(model_dir, model, context):
    model["warmed for"] = context.system_properties["model_dir"]


def input_fn(input_data, content_type, context):
    context.told = json.loads(input_data)
    return context.told


def predict_fn(data, model, context):
    if "status" in data:
        context.set_response_status(data["status"], data.get("phrase"), 0)
    for name, value in data.get("headers", {}).items():
        context.set_response_header(0, name, value)
    context.metrics.add_counter("asked", 1)
    return model


def output_fn(prediction, accept, context):
    if "content_type" in context.told:
        context.set_response_content_type(0, context.told["content_type"])
    processor = context.request_processor[0]
    return json.dumps(
        {
            "told": context.told,
            "loaded": prediction,
            "system": context.system_properties,
            "attributes": context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes"),
            "shouted": context.get_request_header(0, "X-AMZN-SAGEMAKER-CUSTOM-ATTRIBUTES"),
            "all": dict(context.get_all_request_header(0)),
            "properties": dict(processor.get_request_properties()),
            "request_id": context.get_request_id(0),
        }
    )
"""
"""Each function with a context; does to the response what the body tells it."""

TRANSFORM = """
def model_fn(model_dir):
    return "a model"


def transform_fn(model, input_data, content_type, accept):
    return f"{model} {input_data!r} {content_type} {accept}"
"""
"""All of a request in one function."""

TRANSFORM_WITH_CONTEXT = """
def model_fn(model_dir):
    return "a model"


def transform_fn(model, input_data, content_type, accept, context):
    context.set_response_status(202)
    context.set_response_header(0, "X-Model", model)
    return input_data.upper(), "text/plain"
"""

DOUBLES = """
class Model:
    def predict(self, data):
        if hasattr(data, "tocsr"):
            data = data.toarray()
        return data * 2


def model_fn(model_dir):
    return Model()
"""
"""Nothing but a model: all else is the toolkit's default."""

HELPERS = """
import os
import textwrap

from sagemaker_inference import (
    content_types,
    decoder,
    default_inference_handler,
    encoder,
    errors,
    utils,
)


class Handler(default_inference_handler.DefaultInferenceHandler):
    def default_model_fn(self, model_dir):
        return utils.read_file(os.path.join(model_dir, "factor"))

    def default_predict_fn(self, data, model):
        if (data < 0).any():
            raise errors.BaseInferenceToolkitError(
                422, "Send no negative numbers.", "Negative\\r\\nX-Injected: yes"
            )
        if (data > 1000).any():
            raise errors.GenericInferenceToolkitError(429, "Send smaller numbers.")
        return data * int(model)


handler = Handler()
model_fn = handler.default_model_fn
predict_fn = handler.default_predict_fn


def input_fn(input_data, content_type):
    return decoder.decode(input_data, content_type)


def output_fn(prediction, accept):
    if accept == content_types.CSV:
        return encoder.encode(prediction, accept).encode("utf-8"), accept
    return handler.default_output_fn(prediction, accept)
"""
"""As many scripts for sagemaker-inference are: made of its default handler, codecs and errors."""

PYTORCH = """
import io
import json
import os

import numpy as np
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.drop = torch.nn.Dropout(0.9)

    def forward(self, x):
        return self.drop(self.layer(x))


def model_fn(model_dir, context):
    gpu = context.system_properties.get("gpu_id")
    cuda = torch.cuda.is_available() and gpu is not None
    device = torch.device("cuda:" + str(gpu) if cuda else "cpu")
    model = Net()
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, map_location=device))
    return model.to(device).eval()


def input_fn(request_body, request_content_type):
    if request_content_type == "application/x-npy":
        return torch.tensor(np.load(io.BytesIO(request_body)), dtype=torch.float32)
    if request_content_type != "application/json":
        raise ValueError(f"Unsupported content type: {request_content_type}")
    return torch.tensor(json.loads(request_body)["inputs"], dtype=torch.float32)


def predict_fn(input_data, model):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.no_grad():
        return model(input_data.to(device))


def output_fn(prediction, content_type):
    return json.dumps({"predictions": prediction.cpu().numpy().tolist()})
"""
"""As the examples for the PyTorch toolkit are: weights of a class that the script brings."""

XGBOOST = """
import argparse
import json
import os

import numpy as np
import xgboost as xgb
from sagemaker_containers import entry_point
from sagemaker_containers.beta.framework import (
    content_types, encoders, env, modules, transformer, worker)
from sagemaker_xgboost_container import distributed
from sagemaker_xgboost_container import encoder as xgb_encoders
from sagemaker_xgboost_container.data_utils import get_dmatrix


def train(args):
    rows = get_dmatrix(args.train, "libsvm")
    distributed.rabit_run(exec_fun=xgb.train, args={"dtrain": rows}, current_host=args.host)


def model_fn(model_dir):
    booster = xgb.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    return booster


def input_fn(request_body, content_type):
    if content_type == content_types.JSON:
        features = json.loads(request_body)["instances"][0]["features"]
        return xgb.DMatrix(np.array(features).reshape((1, -1)))
    return xgb_encoders.decode(request_body, content_type)


def predict_fn(input_data, model):
    return model.predict(input_data)


def output_fn(prediction, accept):
    if accept == "application/json":
        body = {"predictions": [{"score": float(score)} for score in prediction]}
        return worker.Response(json.dumps(body), mimetype=accept)
    if accept == "text/csv":
        return worker.Response(encoders.encode(prediction, accept), accept, mimetype=accept)
    raise RuntimeError(f"{accept} is not supported.")


if __name__ == "__main__":
    train(argparse.ArgumentParser().parse_args())
"""
"""As the examples for the XGBoost container are, which train with the same file."""

ONLY_MODEL_FN = """
import os

import xgboost as xgb


def model_fn(model_dir):
    booster = xgb.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    return booster
"""
"""All that a script for the XGBoost container has to have."""

FAILING = """
class Gone(Exception):
    status_code = 410


def fail(where, data):
    if data == where:
        raise ValueError(f"no {where} today")


def model_fn(model_dir):
    return None


def input_fn(data, content_type):
    fail("input", data)
    return data


def predict_fn(data, model):
    fail("predict", data)
    if data == "gone":
        raise Gone("This model is no more.")
    return data


def output_fn(prediction, accept):
    fail("output", prediction)
    return prediction
"""
"""Fails where the body says."""

ASYNCHRONOUS = """
import asyncio


async def pre_model_fn(model_dir):
    await asyncio.sleep(0)


async def model_fn(model_dir):
    await asyncio.sleep(0)
    return "a model"


async def model_warmup_fn(model_dir, model):
    assert model == "a model"


async def input_fn(data, content_type):
    return data


async def predict_fn(data, model):
    await asyncio.sleep(0)
    return f"{model} and {data}"


async def chunks(text):
    for word in text.split():
        await asyncio.sleep(0)
        yield word + "\\n"


async def output_fn(prediction, accept):
    return chunks(prediction) if accept == "text/event-stream" else prediction
"""
"""Coroutine functions, and an asynchronous generator."""

GENERATOR = """
def model_fn(model_dir):
    return None


def transform_fn(model, data, content_type, accept):
    return (f"{word}\\n" for word in data.split()), "text/plain"
"""
"""Answers with a generator."""

REQUIRING = """
import from_a_wheel


def model_fn(model_dir):
    return from_a_wheel.VERSION


def transform_fn(model, data, content_type, accept):
    return f"{model} {from_a_wheel.__file__}"
"""
"""Needs what its requirements.txt asks for."""
