// The product of one row with a matrix, wanted again and again: all that bounds it is how fast weights come in.
#pragma once

#include "panels.h"

namespace {

// So many vectors of columns are summed at once, at most as many as a tile of the other products has.
constexpr int SUMS = 2 * TILE_ROWS < 16 ? 2 * TILE_ROWS : 16;

// So many bytes of the matrix are read upward, whichever way the walk over them goes: downward, little is fetched
// ahead. From so many vectors on, rows are added one after the other, in an order that does not depend on how many
// there are.
constexpr long SWEEP_BYTES = 8192, ALIKE = 6;
static_assert((SUMS + 1) / 2 >= ALIKE, "who has more vectors than one sweep has ALIKE in each");

// z = plus + h W for COUNT vectors of columns: h (depth), W(k) = w + k · row, plus null or as z. If ``down``, the last
// rows come first: who turns round with every product begins with what the one before has left in the first cache.
template <class Real, int COUNT>
void sweep(const Real* w, long row, const Real* h, long depth, bool down, const Real* plus, Real* z) {
    constexpr int SERIES = COUNT >= ALIKE ? 1 : COUNT >= 4 ? 2 : 4;
    constexpr long lanes = LANES<Real>, row_bytes = (COUNT >= ALIKE ? SUMS : COUNT) * VECTOR_BYTES;
    constexpr long BLOCK = SWEEP_BYTES / row_bytes / SERIES * SERIES;
    Vector<Real> sum[SERIES][COUNT];
    UNROLLED for (int series = 0; series < SERIES; series++)
        UNROLLED for (int n = 0; n < COUNT; n++)
            sum[series][n] = plus && series == 0 ? load(plus + n * lanes) : Vector<Real>{};
    const long blocks = (depth + BLOCK - 1) / BLOCK;
    for (long block = 0; block < blocks; block++) {
        long k = (down ? blocks - 1 - block : block) * BLOCK;
        const long end = smaller(k + BLOCK, depth);
        const Real* from = w + k * row;
        const auto multiply = [&](int series, Real factor) __attribute__((always_inline)) {
            UNROLLED for (int n = 0; n < COUNT; n++) sum[series][n] += factor * load(from + n * lanes);
            from += row;
        };
        for (; k + SERIES <= end; k += SERIES)
            UNROLLED for (int series = 0; series < SERIES; series++) multiply(series, h[k + series]);
        for (; k < end; k++) multiply(0, h[k]);
    }
    UNROLLED for (int n = 0; n < COUNT; n++) {
        UNROLLED for (int series = 1; series < SERIES; series++) sum[0][n] += sum[series][n];
        store(z + n * lanes, sum[0][n]);
    }
}

template <class Real>
using Sweep = void (*)(const Real*, long, const Real*, long, bool, const Real*, Real*);

// The sweeps of 1, 2, ... SUMS vectors.
template <class Real, int... COUNTS>
struct SweepsOf {
    static constexpr Sweep<Real> of[] = {sweep<Real, COUNTS>...};
};
template <class Real, int LEFT = SUMS, int... COUNTS>
struct AllSweeps : AllSweeps<Real, LEFT - 1, LEFT, COUNTS...> {};
template <class Real, int... COUNTS>
struct AllSweeps<Real, 0, COUNTS...> : SweepsOf<Real, COUNTS...> {};

// c = plus + a · one gate's panels, for one row a: c and plus, which may be null, in whole vectors.
template <class Real>
void row_product(const Real* a, const Panels<Real>& right, bool down, const Real* plus, Real* c) {
    const long count = (right.columns + PANEL<Real> - 1) / PANEL<Real>;
    for (long one = 0; one < count; one++) {
        const long start = (down ? count - 1 - one : one) * PANEL<Real>, width = right.width(start);
        const Sweep<Real> sweep = AllSweeps<Real>::of[width / LANES<Real> - 1];
        sweep(right.panel(start, 0), width, a, right.depth, down, plus ? plus + start : nullptr, c + start);
    }
}

// The columns of some units in some gates, W (depth, columns) and a bias (columns) or null, for one row at a time.
// Packed, W is cut into ribbons of as many vectors as a sweep takes, a ribbon's rows one behind the other, and zeros
// behind the last column. Not packed, the last ribbon ends with the last column and has some of the one before it
// again.
template <class Real>
class Ribbons {
  public:
    // row: how long a row of W is; units: how many columns of a gate are taken; gap: from one gate's to the next's. Not
    // packed, all units are taken, so that gap is units, and they are a vector or more.
    Ribbons(bool packed, const Real* W, long row, const Real* bias, long depth, int gates, long units, long gap)
        : packed_(packed), depth_(depth), columns_(gates * units), count_(count_of(columns_)),
          vectors_(over(over(columns_, LANES<Real>), count_)), sweep_(AllSweeps<Real>::of[vectors_ - 1]), W_(W),
          row_(row), bias_(bias), data_(packed ? length() * depth : 0), plus_(packed && bias ? length() : 0) {
        if (packed) pack(units, gap);
    }

    // How much room a product takes, and reading a vector from any of its columns on.
    long room() const { return length() + LANES<Real>; }

    // z = h W + bias
    __attribute__((noinline)) void times(const Real* h, bool down, Real* z) const {
        const long width = vectors_ * LANES<Real>;
        for (long one = 0; one < count_; one++) {
            const long ribbon = down ? count_ - 1 - one : one;
            const long column = packed_ ? ribbon * width : smaller(ribbon * width, columns_ - width);
            const Real* from = packed_ ? data_ + column * depth_ : W_ + column;
            const Real* biases = packed_ ? plus_ : bias_;
            const Real* plus = bias_ ? biases + column : nullptr;
            sweep_(from, packed_ ? width : row_, h, depth_, down, plus, z + column);
        }
    }

  private:
    static long over(long a, long b) { return (a + b - 1) / b; }
    long count_of(long columns) const {
        const long count = over(over(columns, LANES<Real>), SUMS);
        return !packed_ && count == 1 && columns % LANES<Real> ? 2 : count;  // neither of two is wider than all columns
    }
    long length() const { return count_ * vectors_ * LANES<Real>; }

    __attribute__((noinline)) void pack(long units, long gap) {
        const long width = vectors_ * LANES<Real>;
        Buffer<Real> side_by_side(length());
        side_by_side.clear();
        const auto gather = [&](const Real* from, Real* to) {
            for (long column = 0; column < columns_; column += units, from += gap)
                __builtin_memcpy(to + column, from, units * sizeof(Real));
        };
        for (long k = 0; k < depth_; k++) {
            gather(W_ + k * row_, side_by_side);
            for (long column = 0; column < length(); column += LANES<Real>)
                store(data_ + column / width * width * depth_ + k * width + column % width,
                      load(side_by_side + column));
        }
        plus_.clear();
        if (bias_) gather(bias_, plus_);
    }

    const bool packed_;
    const long depth_, columns_, count_, vectors_;
    const Sweep<Real> sweep_;
    const Real* W_;
    const long row_;
    const Real* bias_;
    Buffer<Real> data_, plus_;
};

}  // namespace
