"""With an exact mask count a compiler makes everything in the first step, and nothing later."""

import json
import subprocess
import sys

import pytest

# In a process without jaxtyping's wrappers, which a compiler cannot see through. The graphs are captured as for any
# backend; aot_eager only spares the time of a code generator.
CODE = """
import json, sys, torch
from torch._dynamo.utils import counters
from caebench.bench.pretrain import build
from caebench.bench.settings import Settings
from caebench.specs.targets import DALLETarget
from caebench.specs.methods.cae import cae
from caebench.training.distributed import join_group
device = join_group("cpu").device
config = cae("nano_s")
method = config.method.replace(
    target=DALLETarget(kind="dalle", vocabulary=16), regressor_depth=4, decoder_depth=4, drop_path=0.3,
    masking=config.method.masking.replace(ratio=float(sys.argv[1])),
)
settings = Settings(config.replace(image_size=48, method=method), 4).at("fp32")
ours, batch = build(settings, device)
plain = float(build(settings, device)[0](batch))
for block in ours.method.blocks:
    block.compile(backend="aot_eager")
graphs, losses = [], []
for step in range(4):
    drop_path_uniforms = torch.rand(batch["drop_path_uniforms"].shape, generator=torch.Generator().manual_seed(step))
    losses.append(float(ours({**batch, "drop_path_uniforms": draws} if step else batch)))
    graphs.append(counters["stats"]["unique_graphs"])
print(json.dumps({"graphs": graphs, "plain": plain, "losses": losses, "breaks": dict(counters["graph_break"])}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ratio", ["0.5", "0.75"])
def test_nothing_is_compiled_after_the_first_step(ratio):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE, ratio], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    first, *later = found["graphs"]
    assert 0 < first <= 16, "blocks of one kind share a graph, whatever their rate of stochastic depth"
    assert later == [first] * 3
    assert found["losses"][0] == pytest.approx(found["plain"], rel=1e-5)
    assert "recompile_limit" not in done.stderr and found["breaks"] == {}
