from rlvr import errors
from rlvr.errors import RlvrError


def test_every_error_is_an_error_of_rlvr_and_stands_in_the_tree() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(kind, RlvrError) for kind in kinds)
    listed = [line.split()[1] for line in (errors.__doc__ or "").splitlines() if line.startswith("+-- ")]
    assert listed == [kind.__name__ for kind in kinds if kind is not RlvrError]
