"""Mutation tests: each entry puts one fault into a copy of the sources, and the tests named with it must fail.

    python tests/mutations.py [--jobs 1] [--only TEXT]

Run it from the root of the repository; `make mutations` does. The tests first run once on an unchanged copy. The
command prints every mutation as caught, equivalent or SURVIVED, and exits with status 1 if one survived. A mutation
with a `reason` is equivalent: no test can catch it, and the reason explains why.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 600  # seconds; a mutation whose tests do not end is caught
FAST = "not slow and not extra and not browser and not slurm"


class Mutation(NamedTuple):
    """A fault: a text that occurs once in a file of src/equipoise, its replacement, and the tests that must fail."""

    file: str
    old: str
    new: str
    tests: str
    reason: str = ""


CONTROLLERS = "tests/balance/test_controllers.py"
FORMULAS = "tests/methods/test_formulas.py"
CONTROLLED = "tests/methods/test_controllers.py"
ADVERSARIAL = "tests/methods/test_adversarial.py"
MINIBATCH = "tests/methods/test_minibatch_tc.py"
TERMS = "tests/terms"
LIKELIHOODS = "tests/test_likelihoods.py"
SPEED = "tests/training/test_speed.py"
LEARNING = "tests/training/test_learning.py"
LOOP = "tests/training/test_loop.py"
RESUME = "tests/training/test_resume.py"
CHECKPOINT = "tests/training/test_checkpoint.py"
CODES = "tests/test_codes.py"
EDGES = "tests/test_edges.py tests/test_alignment.py"
CODE_MAP = "tests/report/test_code_map.py"
MUON = "tests/training/test_muon.py"
GROUPS = "tests/balance/test_two_groups.py"
INFORMATION = "tests/metrics/test_information.py"

MUTATIONS = [
    # --- balances -----------------------------------------------------------------------------------------------------
    Mutation("balance/controllers.py", "return -self.ki * self.error", "return self.ki * self.error", CONTROLLERS),
    Mutation(
        "balance/controllers.py",
        "self.kp * torch.sigmoid(-self.error)",
        "self.kp * torch.sigmoid(self.error)",
        CONTROLLED,
    ),
    Mutation("balance/controllers.py", "< self.low) & (update < 0)", "< self.low) & (update > 0)", CONTROLLERS),
    Mutation("balance/controllers.py", "> self.high) & (update > 0)", "> self.high) & (update < 0)", CONTROLLERS),
    Mutation(
        "balance/controllers.py", "self.queue.sum() / self.filled", "self.queue.sum() / len(self.queue)", CONTROLLERS
    ),
    Mutation(
        "balance/controllers.py",
        "(torch.sigmoid(-self.error) - torch.sigmoid(-before))",
        "torch.sigmoid(-self.error)",
        CONTROLLERS,
    ),
    Mutation(
        "balance/controllers.py", "output = output.clamp(self.low, self.high)", "output = output + 0", CONTROLLERS
    ),
    Mutation("balance/contract.py", "new, update - (new - total)", "new, torch.zeros_like(total)", CONTROLLERS),
    Mutation("balance/controllers.py", "self.output.clamp(self.low, self.high)", "self.output", CONTROLLERS),
    Mutation(
        "balance/set_point.py",
        ".clamp(min=0)).clamp(max=self.end)",
        ".clamp(min=0))",
        "tests/balance/test_set_point.py",
    ),
    Mutation(
        "balance/set_point.py",
        'seen["step"].remainder(self.every) + 1',
        'seen["step"].remainder(self.every)',
        "tests/balance/test_set_point.py",
    ),
    Mutation(
        "balance/set_point.py", "last + self.rise * (increments - last + 1)", "last", "tests/balance/test_set_point.py"
    ),
    Mutation("balance/fixed.py", "return -self.gamma * torch.sign", "return self.gamma * torch.sign", FORMULAS),
    Mutation("methods/mr_vae.py", "** -exponent", "** exponent", "tests/methods/test_mr_vae.py"),
    Mutation(
        "balance/fixed.py",
        'full_like(seen["progress"], self.end)',
        'full_like(seen["progress"], self.start)',
        "tests/balance/test_fixed.py",
    ),
    Mutation(
        "balance/adaptive.py", "self.beta / self.scale, self.beta)", "self.beta * self.scale, self.beta)", ADVERSARIAL
    ),
    Mutation(
        "balance/adaptive.py",
        'started = seen["step"] > 1',
        'started = seen["step"] > 0',
        "tests/balance/test_adaptive.py",
    ),
    Mutation(
        "balance/adaptive.py",
        "has_started, beta.clamp(self.beta_min, self.beta_max)",
        "has_started, beta",
        "tests/balance/test_adaptive.py",
    ),
    Mutation(
        "balance/adaptive.py",
        "(accuracy <= 0.501).float()",
        "(accuracy <= 0.51).float()",
        "tests/balance/test_adaptive.py",
    ),
    Mutation("balance/adaptive.py", '** 3 / seen["kl"].numel()', "** 3", ADVERSARIAL),
    Mutation("balance/adaptive.py", "self.lambda_max * (1 - self.r)", "self.lambda_max * self.r", ADVERSARIAL),
    Mutation("balance/learned.py", "sigma.square().reciprocal()", "sigma.abs().reciprocal()", FORMULAS),
    Mutation("balance/learned.py", "            self._lift()\n", "            pass\n", "tests/balance/test_fixed.py"),
    Mutation("balance/learned.py", ".lerp_(value, 1 - decay)", ".lerp_(value, decay)", FORMULAS),
    Mutation(
        "balance/learned.py",
        "float(initial) ** 4 * start[name]",
        "float(initial) ** 2 * start[name]",
        "tests/balance/test_fixed.py",
    ),
    Mutation(
        "balance/contract.py",
        "for balance in self._all()]).sum()",
        "for balance in self._all()]).amax()",
        "tests/balance/test_fixed.py",
    ),
    Mutation("balance/two_groups.py", "is_apart & first_half(", "is_apart & ~first_half(", GROUPS),
    Mutation("balance/two_groups.py", "of_images / self.edges_end", "of_images / self.edges_start", GROUPS),
    Mutation("balance/two_groups.py", "kl[~first_half(", "kl[first_half(", GROUPS),
    Mutation("balance/two_groups.py", "begin = opened + self.hold", "begin = self.hold", GROUPS),
    # --- optimiser and map of the codes -------------------------------------------------------------------------------
    Mutation("training/muon.py", ".shape) <= LIMIT]", ".shape) > LIMIT]", MUON),
    Mutation(
        "training/loop.py", "if self.step < self.train.steps else", "if self.step > self.train.steps else", RESUME
    ),
    Mutation("report/code_map.py", "silhouette > best.silhouette", "silhouette < best.silhouette", CODE_MAP),
    Mutation("report/code_map.py", "order = np.argsort(-np", "order = np.argsort(np", CODE_MAP),
    Mutation("report/code_map.py", "active.sum() > 1", "active.sum() > 3", CODE_MAP),
    Mutation("report/figures/code_map.py", ".max() >= APART", ".min() >= APART", CODE_MAP),
    Mutation("report/figures/code_map.py", "points[spread_out(points)]", "points[: len(pictures)]", CODE_MAP),
    Mutation("report/sections/code_map.py", "reverse=True)[:PANELS]", "reverse=False)[:PANELS]", CODE_MAP),
    Mutation("report/sections/code_map.py", '["index"][rows])', '["index"][: len(rows)])', CODE_MAP),
    Mutation("balance/two_groups.py", "(2 * progress / self.apart)", "(progress / self.apart)", GROUPS),
    # --- terms --------------------------------------------------------------------------------------------------------
    Mutation("terms/basic.py", "p.x[0].numel())", "p.x.numel())", FORMULAS),
    Mutation("terms/basic.py", "p.prior.kl(p.mean, p.logvar, p.z)", "p.prior.kl(p.mean, p.logvar, p.mean)", MINIBATCH),
    Mutation("terms/basic.py", "or (with_gradients and not p.cache[key][0])", "", TERMS),
    Mutation(
        "terms/decomposition.py",
        "return log_q - _log_densities(p, weights)[0]",
        "return log_q - _log_densities(p, weights)[1]",
        TERMS,
    ),
    Mutation("terms/decomposition.py", "return joint - marginals", "return marginals - joint", TERMS),
    Mutation("terms/decomposition.py", "marginals - latent * constant", "marginals - constant", TERMS),
    Mutation("terms/decomposition.py", "(images - 1) / (images * others)", "1 / others", TERMS),
    Mutation("terms/decomposition.py", "math.log(p.dataset_size * batch)", "math.log(p.dataset_size)", TERMS),
    Mutation("terms/mixture.py", "(mean * force - force_z - count)", "(mean * force - force_z + count)", TERMS),
    Mutation("terms/mixture.py", "math.sqrt(0.5 * LOG2E)", "math.sqrt(LOG2E)", TERMS),
    Mutation("terms/mixture.py", "LEAST = -100.0", "LEAST = -10.0", TERMS),
    Mutation(
        "terms/moments.py", "centred.T @ centred / len(centred)", "centred.T @ centred / (len(centred) - 1)", TERMS
    ),
    Mutation("terms/moments.py", "p.logvar.exp().mean(0)", "(0.5 * p.logvar).exp().mean(0)", TERMS),
    # --- likelihoods --------------------------------------------------------------------------------------------------
    Mutation("likelihoods/calibrated.py", "log_sigma = 0.5 * torch.log(", "log_sigma = torch.log(", LIKELIHOODS),
    Mutation(
        "likelihoods/calibrated.py",
        "0.5 * torch.exp(-2 * log_sigma) * error",
        "torch.exp(-2 * log_sigma) * error",
        LIKELIHOODS,
    ),
    Mutation("likelihoods/calibrated.py", "min=1 - self.smoothing)", "max=1 - self.smoothing)", LIKELIHOODS),
    Mutation("likelihoods/calibrated.py", "F.softplus(log_sigma + 6) - 6", "log_sigma.clamp(min=-6)", LIKELIHOODS),
    Mutation("likelihoods/fixed.py", "sigma, 0.5 / sigma**2", "sigma, 0.5 / sigma", LIKELIHOODS),
    Mutation("likelihoods/fixed.py", "math.log(math.pi / self.scale)", "math.log(math.pi)", CODES),
    Mutation("likelihoods/fixed.py", "error if self.scale == 1 else self.scale * error", "error", LIKELIHOODS),
    Mutation("likelihoods/contract.py", "return out.sigmoid()", "return out.clamp(0, 1)", "tests/test_model.py"),
    Mutation("likelihoods/images.py", "x.float() / 255", "x.float() / 256", LIKELIHOODS),
    # --- priors -------------------------------------------------------------------------------------------------------
    Mutation(
        "priors/standard_normal.py",
        "torch.expm1(logvar) - logvar)",
        "torch.expm1(logvar))",
        "tests/priors/test_standard_normal.py",
    ),
    Mutation(
        "priors/standard_normal.py",
        "(z.square() + math.log(2 * math.pi))",
        "(z.square() + math.log(math.pi))",
        "tests/priors/test_standard_normal.py",
    ),
    Mutation("priors/contract.py", "math.log(2 * math.pi) + 1)", "math.log(2 * math.pi))", "tests/priors/test_kl.py"),
    Mutation(
        "priors/contract.py",
        "mean, logvar = mean.detach(), logvar.detach()",
        "mean = mean.detach()",
        "tests/priors/test_kl.py",
    ),
    Mutation(
        "priors/lp_nested.py", "self.scale ** (1 / self.p0) * radii", "self.scale * radii", "tests/priors/test_draws.py"
    ),
    Mutation("priors/lp_nested.py", "** self.p0 / self.scale", "** self.p0", "tests/priors/test_lp_nested.py"),
    Mutation(
        "priors/tree.py",
        "(len(self.sizes) - 1) * own.log()",
        "len(self.sizes) * own.log()",
        "tests/priors/test_lp_nested.py",
    ),
    # --- edges --------------------------------------------------------------------------------------------------------
    Mutation("edges.py", "(change + contrast**2)", "(change + contrast)", EDGES),
    Mutation("edges.py", "across.square() + down.square()", "across.square() - down.square()", EDGES),
    Mutation("edges.py", "(self.batches <= BATCHES) *", "(self.batches > 0) *", EDGES),
    Mutation("edges.py", "error * (spread(p).mean()", "error * (of_mean.mean()", EDGES),
    Mutation("model.py", "torch.where(is_first, z, z.detach())", "torch.where(is_first, z.detach(), z)", EDGES),
    Mutation("model.py", "return features, last(of_picture)", "return of_picture, last(features)", EDGES),
    Mutation("alignment.py", "if not is_apart or is_first[i] == is_first[j]", "if is_apart or is_first[i]", EDGES),
    # --- model, objective, adversary ----------------------------------------------------------------------------------
    Mutation("model.py", "mean + (0.5 * logvar).exp() * noise", "mean + logvar.exp() * noise", "tests/test_model.py"),
    Mutation("objective.py", "loss + (weights[name] * mean).sum()", "loss + mean.sum()", FORMULAS),
    Mutation("objective.py", "loss = self.balance.penalty(seen)", "loss = 0 * self.balance.penalty(seen)", FORMULAS),
    Mutation(
        "objective.py",
        'seen["accuracy"] = self.adversary.accuracy',
        'seen["accuracy"] = 0.5 + 0 * self.adversary.accuracy',
        ADVERSARIAL,
    ),
    Mutation("objective.py", '(logs["weight.rec"] * self.likelihood.unit)', 'logs["weight.rec"]', FORMULAS),
    Mutation("objective.py", "else term.mean(0)", "else term.sum(0)", FORMULAS),
    Mutation(
        "objective.py",
        '"lr": self.prior_lr, "clip": False',
        '"lr": self.prior_lr, "clip": True',
        "tests/methods/test_battery.py",
    ),
    Mutation("objective.py", 'SHARED = ("likelihood.", "prior.")', 'SHARED = ("balance.", "prior.")', RESUME),
    Mutation(
        "objective.py",
        "{**state, **shared}",
        "{**shared, **state}",
        RESUME,
        "the names of `state` and `shared` are disjoint, except in checkpoints that hold the same values twice",
    ),
    Mutation(
        "adversary.py",
        "return logits[:, 0] - logits[:, 1]",
        "return logits[:, 1] - logits[:, 0]",
        "tests/test_adversary.py",
    ),
    Mutation("adversary.py", "label[: len(codes)] = 0", "label[len(codes) :] = 0", "tests/test_adversary.py"),
    Mutation(
        "adversary.py",
        "torch.rand(z.shape, generator=generator, device=z.device).argsort(0)",
        "torch.rand((len(z), 1), generator=generator, device=z.device).argsort(0).expand_as(z)",
        "tests/test_adversary.py",
    ),
    # --- training -----------------------------------------------------------------------------------------------------
    Mutation("training/loop.py", '        self.optimisers["model"].step()\n', "", LEARNING),
    Mutation("training/loop.py", '        self.optimisers["model"].zero_grad(set_to_none=True)\n', "", LEARNING),
    Mutation("training/loop.py", "nn.utils.clip_grad_norm_(self.clipped, train.clip)", "pass", LOOP),
    Mutation("training/loop.py", 'train.weight_decay if group["clip"] else 0.0', "train.weight_decay", LOOP),
    Mutation("training/loop.py", 'group["base_lr"] * factor', 'group["base_lr"]', LOOP),
    Mutation("training/loop.py", "SeedSequence([train.seed, self.step])", "SeedSequence([train.seed, 0])", LOOP),
    Mutation("training/loop.py", "SeedSequence([train.seed, self.step])", "SeedSequence([0, self.step])", LOOP),
    Mutation("training/loop.py", "self.clock / train.schedule_length", "self.clock / train.steps", LOOP),
    Mutation(
        "training/loop.py", "self._finite_pending().mean(0).tolist()", "self._finite_pending().sum(0).tolist()", LOOP
    ),
    Mutation("training/loop.py", "self.clock.fill_(self.step)", "self.clock.fill_(0)", RESUME),
    Mutation("training/loop.py", '[] if state["pending"] is None else list(state["pending"])', "[]", RESUME),
    Mutation("training/loop.py", "batch(training.step, 1)", "batch(training.step, 0)", LOOP),
    Mutation(
        "training/loop.py", "step % train.checkpoint_every == 0 or step == train.steps", "step == train.steps", LOOP
    ),
    Mutation(
        "training/schedule.py",
        "(start - end) / 2 * (1 + math.cos",
        "(start - end) / 2 * (1 - math.cos",
        "tests/training/test_schedule.py",
    ),
    Mutation("training/speed.py", "torch.set_flush_denormal(before)", "torch.set_flush_denormal(False)", SPEED),
    Mutation("training/speed.py", "with flush_subnormals(enabled), onednn(enabled)", "with onednn(enabled)", SPEED),
    Mutation("training/checkpoint.py", "weights_only=True", "weights_only=False", CHECKPOINT),
    Mutation("training/checkpoint.py", 'state.get("format") != FORMAT', 'state.get("format") == 0', CHECKPOINT),
    Mutation("training/checkpoint.py", 'row["step"] <= until', 'row["step"] < until', CHECKPOINT),
    Mutation("training/checkpoint.py", '{"format": FORMAT, **state}', '{"format": FORMAT}', CHECKPOINT),
    # --- codes --------------------------------------------------------------------------------------------------------
    Mutation("codes.py", "mean + (0.5 * logvar).exp() * noise", "mean + logvar.exp() * noise", CODES),
    Mutation("codes.py", "    model.eval()\n", "", CODES),
    Mutation("codes.py", "per_image(x, model.decode(mean), link)", "per_image(x, model.decode(z), link)", CODES),
    Mutation("codes.py", "model.prior.kl(mean, logvar, z).sum(1)", "model.prior.kl(mean, logvar, z).mean(1)", CODES),
    Mutation("codes.py", "noise[rows]", "noise[: len(mean)]", CODES),
    Mutation("likelihoods/images.py", "mean.log().clamp_min(-100)", "mean.log().clamp_min(-50)", LIKELIHOODS),
    Mutation("convolutions.py", "kernel.data = kernel.data.contiguous()\n", "pass\n", "tests/test_convolutions.py"),
    Mutation("metrics/logistic.py", "start + _ROWS)", "start + _ROWS - 1)", "tests/metrics/test_parts.py"),
    Mutation("codes.py", "images.factors[index]", "images.factors[np.sort(index)]", CODES),
    # --- metrics ------------------------------------------------------------------------------------------------------
    Mutation("metrics/importance.py", "math.log(rows.shape[1])", "math.log(2)", "tests/metrics/test_dci.py"),
    Mutation("metrics/discretise.py", "ordered[..., -2] if", "ordered[..., 0] if", INFORMATION),
    Mutation("metrics/interval.py", "(len(values) - 1) * values.var()", "values.var()", "tests/metrics/test_score.py"),
    Mutation(
        "metrics/interval.py", "stdtrit(count - 1, _LEVEL)", "stdtrit(count, _LEVEL)", "tests/metrics/test_score.py"
    ),
    Mutation("metrics/ranking.py", "np.median(pairs)", "np.mean(pairs)", "tests/metrics/test_udr.py"),
    Mutation(
        "metrics/information.py", "/ information.of_factors[:, None])", "/ information.of_factors.max())", INFORMATION
    ),
    Mutation(
        "metrics/unsupervised.py",
        "-float(np.log(values).sum())",
        "-0.5 * float(np.log(values).sum())",
        "tests/metrics/test_unsupervised.py",
    ),
    Mutation(
        "metrics/aggregate.py", "return out - math.log(len(mean))", "return out", "tests/metrics/test_aggregate.py"
    ),
]


def check(mutation: Mutation) -> None:
    """Exit if the old text of the mutation does not occur exactly once."""
    count = (ROOT / "src/equipoise" / mutation.file).read_text(encoding="utf-8").count(mutation.old)
    if count != 1:
        sys.exit(f"{mutation.file}: {mutation.old!r} occurs {count} times, expected once; correct tests/mutations.py")


def run(source: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Run tests against the sources in a folder; return whether they passed, and the first test that failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", FAST, *tests]
    environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    try:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {TIMEOUT} s"
    lines = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return result.returncode == 0, lines[0] if lines else result.stdout[-2000:]


def outcome(mutation: Mutation) -> str:
    """Apply a mutation to a copy of the sources, run its tests and return a line of the report."""
    with tempfile.TemporaryDirectory(prefix="equipoise-mutation-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        file = source / "equipoise" / mutation.file
        file.write_text(file.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
        passed, failure = run(source, mutation.tests.split())
    change = f"{mutation.file}: {mutation.old.strip()!r} -> {mutation.new.strip()!r}"
    if not passed:
        return f"caught      {change}\n            {failure.partition(' - ')[0]}"
    if mutation.reason:
        return f"equivalent  {change}\n            {mutation.reason}"
    return f"SURVIVED    {change}\n            {mutation.tests}"


def main() -> None:
    """Run the mutations and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time (default: 1)")
    parser.add_argument("--only", default="", help="only mutations of files whose path contains this text")
    arguments = parser.parse_args()
    mutations = [mutation for mutation in MUTATIONS if arguments.only in mutation.file]
    if not mutations:
        sys.exit(f"no mutation is of a file whose path contains {arguments.only!r}")
    for mutation in mutations:
        check(mutation)
    tests = sorted({path for mutation in mutations for path in mutation.tests.split()})
    passed, failure = run(ROOT / "src", tests)
    if not passed:
        sys.exit(f"the tests fail without a mutation: {failure}")
    lines = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(outcome, mutations):
            print(line, flush=True)
            lines.append(line)
    counts = {word: sum(line.startswith(word) for line in lines) for word in ("caught", "equivalent", "SURVIVED")}
    print(f"{len(lines)} mutations: " + ", ".join(f"{count} {word.lower()}" for word, count in counts.items()))
    sys.exit(counts["SURVIVED"] > 0)


if __name__ == "__main__":
    main()
