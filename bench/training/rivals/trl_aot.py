"""TRL's `DPOTrainer` with the AOT losses on the CPU, given our tokens in our order; two passes over the same steps.

Variants name how: "precomputed" has the reference's log-probabilities before it starts, "each step" computes them in
each, "compiled" adds torch.compile, "bfloat16" autocasts. What is timed is a whole step, as the trainer runs it, with
logging off. The adapter begins as ours.
"""

from __future__ import annotations

import pathlib
import sys
import time
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from bench.training import contest  # noqa: E402

VARIANTS = ["precomputed", "each step", "compiled", "bfloat16"]


def main() -> None:
    """Time the second pass; the first warms everything up, and its losses are kept."""
    wanted = contest.asked(VARIANTS)

    import json
    import tempfile

    import torch
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from peft import LoraConfig, set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    warnings.filterwarnings("ignore")
    disable_progress_bar()
    torch.set_num_threads(wanted.threads)

    class Trainer(DPOTrainer):
        """Takes tokens as they are, and keeps its losses."""

        losses: list = []  # noqa: RUF012
        reference = 0.0

        def _prepare_dataset(self, dataset, *rest, **more):  # noqa: ANN001, ANN002, ANN003, ANN202
            return dataset

        def _precompute_ref_logps(self, *words):  # noqa: ANN002, ANN202
            began = time.perf_counter()
            found = super()._precompute_ref_logps(*words)
            self.reference = time.perf_counter() - began
            return found

        def compute_loss(self, *words, **more):  # noqa: ANN002, ANN003, ANN202
            found = super().compute_loss(*words, **more)
            self.losses.append(found.detach())
            return found

    class Clock(TrainerCallback):
        """When each step ended."""

        def __init__(self) -> None:
            self.times, self.used = [], []

        def on_step_end(self, *words, **more) -> None:  # noqa: ANN002, ANN003
            self.times.append(time.perf_counter())
            self.used.append(time.process_time())

    with tempfile.TemporaryDirectory() as place:
        settings = DPOConfig(
            output_dir=place,
            loss_type=[wanted.loss],
            beta=contest.BETA,
            precompute_ref_log_probs=wanted.variant != "each step",
            per_device_train_batch_size=wanted.batch,
            learning_rate=contest.RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=contest.CLIP,
            num_train_epochs=2,
            max_length=None,
            train_sampling_strategy="sequential",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=wanted.variant == "bfloat16",
            gradient_checkpointing=False,
            torch_compile=wanted.variant == "compiled",
        )
        began = time.perf_counter()
        model = AutoModelForCausalLM.from_pretrained(wanted.folder, dtype=torch.float32)
        rows = Dataset.from_list(json.loads((wanted.folder / contest.ROWS).read_text()))
        peft = None if wanted.adapter == "all weights" else LoraConfig.from_pretrained(wanted.folder / contest.ADAPTER)
        clock = Clock()
        trainer = Trainer(model, args=settings, train_dataset=rows, peft_config=peft, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        if peft is not None:
            begin = load_file(wanted.folder / contest.ADAPTER / "adapter_model.safetensors")
            lost = set_peft_model_state_dict(trainer.model, begin).unexpected_keys
            if lost:
                raise ValueError(f"the adapter does not fit: {lost[:3]}")
        if wanted.adapter == "B only":
            for name, weight in trainer.model.named_parameters():
                if "lora_A" in name:
                    weight.requires_grad_(False)
        trainer.train()
    whole = clock.times[-1] - began
    steps = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]
    count = len(clock.times) // 2
    contest.keep(
        wanted.out,
        compiling=whole - 2 * (clock.times[-1] - clock.times[count - 1]),
        reference=trainer.reference if settings.precompute_ref_log_probs else None,
        steps=steps[count:],  # without the first of the second pass, as ours
        cpu_seconds=(clock.used[-1] - clock.used[count - 1]) / count,
        losses=[float(loss) for loss in trainer.losses[:count]],
        learned=sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad),
        versions={name: __import__(name).__version__ for name in ("torch", "transformers", "trl", "peft")},
    )


if __name__ == "__main__":
    main()
