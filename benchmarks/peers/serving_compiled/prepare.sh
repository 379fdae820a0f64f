# Compiles the trees, with both libraries, and puts the network beside them, as it is.
set -eu
python=$1 models=$2 made=$3
mkdir "$made"
SERVING_ENGINE= "$python" -m serving.cli compile "$models/xgboost" --onnx --output "$made/xgboost"
cp -r "$models/mlp" "$made/mlp"
