"""What works on a whole bundle does not take the name of one version for all of them."""

import pytest

from rustybt.errors import RequestError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars


@pytest.mark.parametrize("reference", ["us@1", "us@2", "us@999", "us@latest", "us@good", "us@sha256:0000"])
def test_a_version_is_not_removed_as_if_it_were_the_bundle(store, reference):
    store.commit("us", frame_of_bars([("A", "2024-01-02", "1.5")]), Provenance("frame"))
    store.tag("us", "good")
    for call in (store.remove, lambda name: store.gc(name, keep_last=1), lambda name: store.untag(name, "good")):
        with pytest.raises(RequestError, match="names one version, not a whole bundle"):
            call(reference)
    assert store.open("us").read().height > 0
    assert store.tags("us") == {"good": 1}
