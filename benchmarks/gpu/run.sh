#!/usr/bin/env bash
# What wants a GPU, in one command and small results; see README.md beside it. Run it again to go on where it ended.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
WORK=${WORK:-runs/gpu}                 # sets, trainings and marks of finished steps
OUT=${OUT:-$WORK/results}              # at most 8 small files
ARMS=${ARMS:-resnet9+paper resnet9+labels warp+labels}   # generator, and after a + the preset
STEPS=${STEPS:-20000}                  # of each training, at most
MINUTES=${MINUTES:-3}                  # of training for all arms together; fewer steps where they would take longer
PROBE=${PROBE:-100}                    # steps that tell the pace
CROP=${CROP:-256}
BATCH=${BATCH:-1}
CHANNELS=${CHANNELS:-40}
COUNT=${COUNT:-200}                    # pictures in a set to train on
SHOWN=${SHOWN:-8}                      # pictures that are refined
SAMPLE=${SAMPLE:-sample_data}          # crops, belts and real pictures
SIZE=${SIZE:-1280x720}
STEP_ARGS=${STEP_ARGS:---size 256 --seconds 1 --floor-tflops 790}
SPEED_ARGS=${SPEED_ARGS:---pictures 8}
REAL=${GARBAGE_SYNTH_REAL_DATA:-}

mkdir -p "$WORK/done" "$OUT"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [[ -n ${WHEELS:-} ]]; then
    PYTHONPATH="$PWD/$WORK/site:$PYTHONPATH"
    [[ -d $WORK/site ]] || "$PYTHON" -m pip install --quiet --no-index --no-deps --target "$WORK/site" "$WHEELS"/*.whl
fi
DEVICE=${DEVICE:-$("$PYTHON" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')}

garbage_synth() { "$PYTHON" -m garbage_synth "$@"; }

# step NAME COMMAND...: the command, unless it has been done
step() {
    local name=$1 start=$SECONDS
    shift
    if [[ -e $WORK/done/$name ]]; then
        echo "$name: done before"
        return
    fi
    echo "$name ..."
    "$@"
    echo "$name: $((SECONDS - start)) s" | tee "$WORK/done/$name"
}

step_speed() {
    # shellcheck disable=SC2086
    "$PYTHON" benchmarks/gan_step.py --device "$DEVICE" --results "$WORK/gan_step.jsonl" $STEP_ARGS | tee "$WORK/gan_step.md"
}

refine_speed() {
    # shellcheck disable=SC2086
    "$PYTHON" benchmarks/refine_speed.py --device "$DEVICE" --json $SPEED_ARGS >"$WORK/refine_speed.json"
}

# compose CROPS BELTS OUT COUNT SEED ARGUMENT...
compose() {
    local crops=$1 belts=$2 out=$3 count=$4 seed=$5
    shift 5
    garbage_synth composite --crops "$crops" --backgrounds "$belts" --out "$out" --count "$count" --seed "$seed" \
        --val-fraction 0 --overwrite "$@"
}

construction_crops() {
    garbage_synth segment "$REAL/construction_belt" --method coco --split train --out "$WORK/construction/crops" \
        --overwrite
}

# sets LINE CROPS BELTS ARGUMENT...: one to train on, one of other pictures to look at
sets() {
    local line=$1 crops=$2 belts=$3
    shift 3
    step "$line-set" compose "$crops" "$belts" "$WORK/$line/set" "$COUNT" 0 "$@"
    step "$line-shown" compose "$crops" "$belts" "$WORK/$line/shown" "$SHOWN" 1 "$@"
}

# train LINE ARM REAL: as many steps as there is time for; a few on the first line tell an arm's pace
train() {
    local run=$WORK/$1/$2 pace=$WORK/pace-$2.json steps preset=()
    [[ $2 != *+* ]] || preset=(--set "preset=${2#*+}")
    local command=(garbage_synth train-gan --synthetic "$WORK/$1/set" --real "$3" --out "$run" --generator "${2%%+*}"
        --crop "$CROP" --batch "$BATCH" --device "$DEVICE" --set "base_channels=$CHANNELS"
        --set "discriminator_channels=$CHANNELS" --set checkpoint_every_minutes=1 --set decode_threads=4
        --resume --json "${preset[@]}")
    if [[ ! -e $pace ]]; then
        "${command[@]}" --steps "$STEPS" --stop-after "$PROBE" >"$pace.part"
        mv "$pace.part" "$pace"
    fi
    steps=$("$PYTHON" benchmarks/gpu/collect.py steps "$pace" --most "$STEPS" --minutes "$MINUTES" --runs "$TRAININGS")
    "${command[@]}" --steps "$steps" >"$run.json"
}

# look LINE ARM: the generator in half precision, and what it makes of pictures it has not seen, rejecting none
look() {
    local run=$WORK/$1/$2
    garbage_synth export-generator "$run" --out "$run.safetensors" --overwrite
    garbage_synth refine "$WORK/$1/shown" --generator "$run" --out "$run.refined" --device "$DEVICE" --overwrite \
        --set fidelity.reject_above=1 --json >"$run.refined.json" ||
        grep -q '"stage": "refine"' "$run.refined.json"   # a training too short to keep labels is a result too
}

collect() {
    # shellcheck disable=SC2086
    "$PYTHON" benchmarks/gpu/collect.py results "$WORK" "$OUT" --arms $ARMS
}

# line NAME REAL
line() {
    for arm in $ARMS; do
        step "$1-$arm-train" train "$1" "$arm" "$2"
        step "$1-$arm-look" look "$1" "$arm"
        [[ -e $WORK/done/all ]] || collect
    done
}

arms=($ARMS)
TRAININGS=$((${#arms[@]} * (1 + (${#REAL} > 0))))

step gan-step step_speed
sets sample "$SAMPLE/crops" "$SAMPLE/belts" --size "$SIZE"
line sample "$SAMPLE/real/images/train"
if [[ -n $REAL ]]; then
    step construction-crops construction_crops
    sets construction "$WORK/construction/crops" "$REAL/construction_belt/belts" --set scale.source=native
    line construction "$REAL/construction_belt/images/train"
fi
step refine-speed refine_speed
step all collect
