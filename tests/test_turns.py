"""Every slow test has its turn."""

import pytest
from turns import of_turn

pytest_plugins = ["pytester"]


def test_turns_share_out_the_slow_tests_and_run_all_others(pytester):
    pytester.makeini("[pytest]\nmarkers = slow: not every day")
    items = pytester.getitems(
        """
        import pytest

        @pytest.mark.slow
        @pytest.mark.parametrize("case", range(3))
        @pytest.mark.parametrize("which", ["a", "b"])
        def test_cases(which, case): pass
        """
        + "".join(f"\n        @pytest.mark.slow\n        def test_slow_{i}(): pass\n" for i in range(30))
        + "\n        def test_quick(): pass\n"
    )
    parts = [{item.name for item in of_turn(items, f"{turn}/3")[0]} for turn in range(3)]
    assert set.union(*parts) == {item.name for item in items}
    for k, part in enumerate(parts):
        kept, left = of_turn(items, f"{k}/3")
        assert len(kept) + len(left) == len(items) == 37
        assert "test_quick" in part
        assert len([name for name in part if name.startswith("test_cases")]) in (0, 6)
        assert 3 < len([name for name in part if name.startswith("test_slow")]) < 20
    assert sum(map(len, parts)) == 36 + 3
    with pytest.raises(ValueError, match="not enough values"):
        of_turn(items, "2")
    with pytest.raises(ValueError, match="the last 2"):
        of_turn(items, "3/3")  # whose slow tests would be none
