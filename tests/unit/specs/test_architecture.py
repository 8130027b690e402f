"""What an encoder's file says of its architecture: only what differs, read back, refused where it cannot be."""

import pytest

from caebench.specs.architecture import PLAIN, Architecture, describe, from_dict, to_dict

CLIP = Architecture(norm_before_blocks=True, patch_bias=False, activation="quick_gelu", norms_class_only=True)
GIANT = Architecture(num_registers=4, gated=True, mlp_dim=4096)


@pytest.mark.parametrize("architecture", [PLAIN, CLIP, GIANT, Architecture(class_token=False, qkv_bias=False)])
def test_what_is_written_is_read_back(architecture):
    written = to_dict(architecture)
    assert from_dict(written) == architecture
    assert (written == {}) == (describe(architecture) == "") == (architecture == PLAIN)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"heads": 3}, "unknown field 'heads'"),
        ({"num_registers": -1}, "num_registers -1"),
        ({"num_registers": True}, "num_registers True"),
        ({"class_token": 0}, "class_token 0"),
        ({"mlp_dim": "4"}, "mlp_dim '4'"),
        ({"activation": "relu"}, "activation 'relu': known are gelu, quick_gelu, gelu_tanh"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        from_dict(fields)


def test_tokens_before_the_patches_are_counted():
    assert [one.num_prefix for one in (PLAIN, GIANT, Architecture(class_token=False))] == [1, 5, 0]
