"""The model card: what a person has to know before using a model, with its measured figures.

Enters: a model and its report. Leaves: Markdown with the front matter that Hugging Face reads (Mitchell et al. 2019,
"Model Cards for Model Reporting").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.model.artifact import Artifact
from training.errors import TrainingError

_TEMPLATE = """\
---
license: mit
library_name: sklearn
pipeline_tag: image-classification
tags: [mnist, digits, mlp]
datasets: [mnist]
metrics: [accuracy]
model-index:
  - name: {name}
    results:
      - task: {{type: image-classification}}
        dataset: {{name: MNIST, type: mnist, split: test}}
        metrics: [{{type: accuracy, value: {accuracy:.4f}}}]
---

# {name}

`digits.safetensors`, version `{version}`: a plain multi-layer perceptron, {architecture},
{n_parameters:,} parameters, {megabytes:.1f} MB. It is what `digits serve` serves when `DIGITS_MODEL` names nothing else.

## Use

Reading one handwritten digit in a picture, after the normalisation of this service. The network by itself expects MNIST
form: 28x28, 0 = background to 1 = ink, the digit fitted into 20x20 and its centre of mass at the centre.

Answers come with calibrated probabilities and a verdict: `clear`; `ambiguous`, where a person should look; or
`not_a_digit`, for letters, scribbles, several digits, texture. What looks like a digit is read as one, an O as 0 and an l
as 1, and not all else is noticed: see the figures below. It is not made for print.

## Training

```sh
digits-train fit --recipe {recipe} --output models/digits.safetensors
```

scikit-learn's `MLPClassifier` on MNIST's training digits, less {n_validation:,} of them{drawn} all changed anew
in each of {epochs} epochs: turned, slanted, sized, bent, with strokes of other widths, gaps and noise. In the last
{settling:.0%} of the epochs they are changed less, and the weights after each are averaged.{fit_time}{pruned}

The other {n_validation:,} training digits chose the temperature, {temperature:.2f}, and the thresholds of the verdicts:
half a per cent of them is `not_a_digit`, one per cent in all is not `clear`. The detector of what is no digit is a small
network on the activations of all hidden layers. It learned from the same digits against letters, signs, scribbles,
several digits, blobs, stripes and noise, all made by program. Hands that MNIST hardly shows, such as ones with a long
upstroke and crossed sevens, are drawn by program too: no other collection of pictures was learned from.

## Evaluation

```sh
digits-train report --model models/digits.safetensors --output models/report --card models/README.md
```

On MNIST's {n_test:,} test digits, which chose nothing:

| measured | |
|---|---|
| error | {error} |
| error of the answers with the verdict `clear`, {clear:.1%} of all | {error_of_clear:.2%} |
| expected calibration error, 15 bins, before and after the temperature | {ece_before:.2%}, {ece:.2%} |
| the same of a perfectly calibrated model with these confidences, by chance | {ece_chance:.2%}, in 95 % of cases below {ece_limit:.2%} |
| negative log-likelihood, Brier score | {nll:.4f}, {brier:.4f} |
| error on the {n_validation:,} validation digits | {validation:.2%} |

| what is no digit | not `clear` |
|---|---|
{foreign}

Damaged test digits, {n_corrupted:,} of each kind, sent as pictures; beside them the lecture's network (`--recipe lecture`) behind
the same normalisation:

| damage | error | lecture's |
|---|---|---|
{corruptions}
| mean | {corrupted:.1%} | {corrupted_baseline:.1%} |

![Training loss and validation error]({drawings}/learning.png)
![Which digits got which answer]({drawings}/confusion.png)
![Reliability of the probabilities]({drawings}/reliability.png)
![Error when doubtful answers are withheld]({drawings}/coverage.png)
![The misread test digits, truth: answer]({drawings}/misread.png)
![Incoming weights of the first sixteen units]({drawings}/weights.png)

On pictures, `digits-train evaluate --pictures DIR` measures by folder.

## Limits

It learned from American writers of around 1990, and from what a program draws. Figures on MNIST say how well it reads
digits that are cut out and centred; on photos, finding the digit is the harder part.
"""

_FIT_TIME = """ The fit took {minutes} minutes
({machine})."""

_PRUNED = """ Of its {n_fitted:,} hidden units, {n_off:,} are off whatever the picture, as interval bounds prove:
the file does without them."""


def schedule_of(model: Artifact) -> dict[str, Any]:
    """Return the schedule that a model was fitted along. Raises TrainingError without one: the card tells of it."""
    schedule: dict[str, Any] | None = model.metadata.training.settings.get("schedule")
    if schedule is None:
        message = "a model card is written for models that were fitted with a schedule, as `quick` and `record` are"
        raise TrainingError(message)
    return schedule


def write(model: Artifact, report: Mapping[str, Any], size: int, drawings: str) -> str:
    """Return the card of a model that was fitted along a schedule.

    `size` is that of its file in bytes, `drawings` the way from the card to the folder of the report. Raises
    TrainingError when there was no schedule.
    """
    network, metadata = model.network, model.metadata
    training, schedule = metadata.training, schedule_of(model)
    test, probabilities, verdict = report["test"], report["probabilities"], report["verdict"]
    after = probabilities["after_temperature"]
    minutes = report["fit"]["minutes"]
    low, high = test["interval"]
    n_fitted = int(np.sum(training.settings["estimator"]["hidden_layer_sizes"]))
    n_off = n_fitted - sum(layer.n_out for layer in network.layers[:-1])
    return _TEMPLATE.format(
        name=metadata.name,
        version=model.version,
        accuracy=1 - test["error"],
        architecture=" → ".join(
            [str(network.layers[0].n_in), *(f"{layer.n_out} {layer.activation}" for layer in network.layers)]
        ),
        n_parameters=network.n_parameters,
        megabytes=size / 1e6,
        recipe=training.recipe,
        n_test=test["n"],
        n_corrupted=report["n_corrupted"],
        drawings=drawings,
        drawn=f", and {schedule['drawn']:.0%} as many drawn by program," if schedule["drawn"] else ",",
        epochs=schedule["epochs"],
        settling=schedule["settling"],
        fit_time=_FIT_TIME.format(minutes=minutes, machine=training.machine) if minutes is not None else "",
        pruned=_PRUNED.format(n_off=n_off, n_fitted=n_fitted) if n_off else "",
        n_validation=schedule["n_validation"],
        temperature=probabilities["temperature"],
        error=f"{test['error']:.2%} ({test['wrong']} of {test['n']:,}; 95 % interval {low:.2%} to {high:.2%})",
        clear=verdict["clear"],
        error_of_clear=verdict["error_of_clear"],
        ece_before=probabilities["before_temperature"]["expected_calibration_error"],
        ece=after["expected_calibration_error"],
        ece_chance=after["expected_calibration_error_by_chance"],
        ece_limit=after["expected_calibration_error_by_chance_95"],
        nll=after["negative_log_likelihood"],
        brier=after["brier_score"],
        validation=1 - metadata.figures["validation_accuracy"],
        foreign="\n".join(
            f"| {kind} | {share:.1%} |" for kind, share in verdict["not_clear_of_what_is_no_digit"].items()
        ),
        corruptions="\n".join(
            f"| {kind} | {row['error']:.1%} | {row['baseline_error']:.1%} |"
            for kind, row in report["corruptions"].items()
        ),
        corrupted=report["mean_corrupted_error"],
        corrupted_baseline=report["mean_corrupted_baseline_error"],
    )
