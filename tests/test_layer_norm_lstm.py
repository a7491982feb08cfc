"""The layer-normalized LSTM against the published equations in PyTorch, with every gradient; how it begins."""

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn.scan import scan, scan_vjp

T, B, D, H = 6, 3, 2, 4


def ba(torch, p, x, s, epsilon):
    """Equations 20 to 22 of Ba, Kiros and Hinton (2016); b is put into the first norm's bias for half of it."""
    norm, (h, c), ys = torch.nn.functional.layer_norm, s, []
    half = 0.5 * p["b"]
    for t in range(x.shape[0]):
        from_h = norm(h @ p["Wh"], (4 * H,), p["gh"], half, epsilon)
        from_x = norm(x[t] @ p["Wx"], (4 * H,), p["gx"], None, epsilon)
        i, f, g, o = (from_h + from_x + half).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * norm(c, (H,), p["gc"], p["bc"], epsilon).tanh()
        ys.append(h)
    return ys, (h, c)


@pytest.mark.parametrize("epsilon", [1e-5, 0.3])
def test_it_is_that_of_the_paper(epsilon):
    torch = pytest.importorskip("torch")
    rng, cell = np.random.default_rng(0), cells.LayerNormLSTM(H, epsilon=epsilon)
    p = {name: 0.5 * rng.normal(size=a.shape) for name, a in cell.init(rng, D).items()}
    x, s = rng.normal(size=(T, B, D)), tuple(rng.normal(size=(B, H)) for _ in range(2))
    dys, ds = rng.normal(size=(T, B, H)), tuple(rng.normal(size=(B, H)) for _ in range(2))
    ys, end, tape = scan(cell, p, x, s)
    dx, begin, dp = scan_vjp(cell, p, tape, dys, ds)

    leaves = xr.tree.map(lambda a: torch.tensor(a, requires_grad=True), {"p": p, "x": x, "s": s})
    their_ys, their_end = ba(torch, leaves["p"], leaves["x"], leaves["s"], epsilon)
    pairs = zip((*their_ys, *their_end), (*dys, *ds), strict=True)
    sum((y * torch.tensor(d)).sum() for y, d in pairs).backward()
    grads = xr.tree.map(lambda a: a.grad.numpy(), leaves)
    np.testing.assert_allclose(ys, torch.stack(their_ys).detach(), rtol=1e-11, atol=1e-13)
    ours = xr.tree.flatten({"end": end, "p": dp, "x": dx, "s": begin})
    theirs = xr.tree.flatten({"end": xr.tree.map(lambda a: a.detach().numpy(), their_end)} | grads)
    assert ours.keys() == theirs.keys()
    for name, a in ours.items():
        np.testing.assert_allclose(a, theirs[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_weights_and_inputs_of_any_size_do_the_same():
    rng, cell = np.random.default_rng(0), cells.LayerNormLSTM(H, epsilon=1e-30)
    p, x = cell.init(rng, D), rng.normal(size=(T, B, D))
    s = tuple(rng.normal(size=(B, H)) for _ in range(2))
    wanted = scan(cell, p, x, s)[0]
    for change, by in ({"Wx": 1e8 * p["Wx"]}, 1.0), ({"Wh": 1e-3 * p["Wh"]}, 1.0), ({}, 1e30):
        np.testing.assert_allclose(scan(cell, p | change, by * x, s)[0], wanted, rtol=1e-9)


def test_how_it_begins():
    p = cells.LayerNormLSTM(H).init(np.random.default_rng(0), D)
    assert {name: a.shape for name, a in p.items()} == {
        "Wx": (D, 4 * H), "Wh": (H, 4 * H), "b": (4 * H,), "gx": (4 * H,), "gh": (4 * H,), "gc": (H,), "bc": (H,),
    }  # fmt: skip
    for name in ("gx", "gh", "gc"):
        np.testing.assert_array_equal(p[name], np.ones_like(p[name]))
    np.testing.assert_array_equal(p["b"], np.repeat([0.0, 1.0, 0.0, 0.0], H))
    np.testing.assert_array_equal(p["bc"], np.zeros(H))
    bare = cells.LayerNormLSTM(H, bias=False).init(np.random.default_rng(0), D)
    assert bare.keys() == {"Wx", "Wh", "gx", "gh", "gc"}
    assert xr.LayerNormLSTM((5, 3), epsilon=0.1).cell_stack() == (
        cells.LayerNormLSTM(5, epsilon=0.1), cells.LayerNormLSTM(3, epsilon=0.1),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"LayerNormLSTM: epsilon must be above 0, not 0\.0"):
        cells.LayerNormLSTM(H, epsilon=0.0)
