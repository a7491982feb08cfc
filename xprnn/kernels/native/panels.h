// Matrices laid out for products: the right factor in panels, the left one, where it is transposed, in tiles.
#pragma once

#include <utility>

#include "interface.h"
#include "tile.h"

namespace {

// A vector of a's and b's numbers by turns, a₀ b₀ a₁ b₁ ..., from the place FROM on.
template <class Real, int FROM, int... LANE>
inline Vector<Real> by_turns(Vector<Real> a, Vector<Real> b, std::integer_sequence<int, LANE...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (FROM + LANE) / 2 + LANE % 2 * int(LANES<Real>)...);
#else
    return __builtin_shuffle(a, b, typename Numbers<Real>::Bits{(FROM + LANE) / 2 + LANE % 2 * LANES<Real>...});
#endif
}

// The rows of a matrix, transposed in place. Of a number's place, the bits of its row and behind them those of its
// column, each round moves the first bit to the end: after as many as a row has, row and column have changed places.
template <class Real>
inline void transpose(Vector<Real> (&rows)[LANES<Real>]) {
    constexpr int lanes = LANES<Real>, half = lanes / 2;
    constexpr std::make_integer_sequence<int, lanes> all{};
    for (int round = 1; round < lanes; round *= 2) {
        Vector<Real> turned[lanes];
        UNROLLED for (int n = 0; n < half; n++) {
            turned[2 * n] = by_turns<Real, 0>(rows[n], rows[n + half], all);
            turned[2 * n + 1] = by_turns<Real, lanes>(rows[n], rows[n + half], all);
        }
        UNROLLED for (int n = 0; n < lanes; n++) rows[n] = turned[n];
    }
}

// An array that lives as long as this.
template <class Real>
class Buffer {
  public:
    explicit Buffer(long count)
        : data_(count ? static_cast<Real*>(native::allocate(count * sizeof(Real))) : nullptr), count_(count) {}
    ~Buffer() { native::release(data_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    operator Real*() const { return data_; }
    void clear() {
        if (count_) __builtin_memset(data_, 0, count_ * sizeof(Real));
    }

  private:
    Real* data_;
    long count_;
};

// One of so many parts of some work, as one thread's: of things in a row those from ``begin`` up to ``end``.
struct Part {
    int which, count;
    long begin(long things) const { return things * which / count; }
    long end(long things) const { return things * (which + 1) / count; }
};

// The length of a row of scratch: an odd number of vectors, or rows would meet in the same few lines of a cache.
template <class Real>
long spread(long columns) {
    return (rounded_up(columns, LANES<Real>) / LANES<Real> | 1) * LANES<Real>;
}

// A right factor (depth, gates · columns), each gate's columns in panels of their own: panel(start, place) has its
// columns from ``start``, a multiple of PANEL, on. Panels of the same units lie one behind the other.
template <class Real>
class Panels {
  public:
    Panels(long depth, int gates, long columns)
        : depth(depth), columns(columns), gates_(gates), data_(depth * gates * rounded_up(columns, LANES<Real>)) {}

    long width(long start) const { return smaller(PANEL<Real>, rounded_up(columns, LANES<Real>) - start); }
    Real* panel(long start, int place) const { return data_ + depth * (start * gates_ + place * width(start)); }

    // One gate's columns of W (rows, row), as the rows of panels; a part of the panels.
    void pack(const Real* W, long row, long rows, int place, Part part) const {
        for (long start = begin(part); start < end(part); start += PANEL<Real>) {
            const long wide = width(start), real = columns - start;
            Real* to = panel(start, place);
            for (long k = 0; k < rows; k++, to += wide)
                for (long lane = 0; lane < wide; lane += LANES<Real>)
                    store(to + lane, load_some(W + k * row + start + lane, real - lane));
        }
    }

    // A block of ``units`` columns of W (columns, row), transposed: the panels' rows from ``first`` on, zero from
    // ``units`` up to whole vectors; a part of the panels.
    void pack_transposed(const Real* W, long row, long units, long first, Part part) const {
        constexpr long lanes = LANES<Real>;
        for (long start = begin(part); start < end(part); start += PANEL<Real>)
            for (long unit = 0; unit < units; unit += lanes)
                for (long column = start, wide = width(start); column < start + wide; column += lanes) {
                    Vector<Real> block[lanes];
                    for (long n = 0; n < lanes; n++)
                        block[n] = column + n < columns ? load_some(W + (column + n) * row + unit, units - unit)
                                                        : Vector<Real>{};
                    transpose<Real>(block);
                    Real* to = panel(start, 0) + (first + unit) * wide + column - start;
                    for (long n = 0; n < lanes; n++) store(to + n * wide, block[n]);
                }
    }

    const long depth, columns;

  private:
    // Where a part of the panels begins and ends.
    long count() const { return (columns + PANEL<Real> - 1) / PANEL<Real>; }
    long begin(Part part) const { return part.begin(count()) * PANEL<Real>; }
    long end(Part part) const { return part.end(count()) * PANEL<Real>; }

    int gates_;
    Buffer<Real> data_;
};

// C = A · one gate's panels, all columns; c.columns may be more than the panels', up to whole vectors. It goes by
// blocks of A that stay in the second cache while all panels pass by.
template <class Real>
void product(long rows, Left<Real> a, const Panels<Real>& right, const Result<Real>& c) {
    constexpr long DEPTH = 1024, ROWS = 128;
    const long depth = a.depth;
    for (long k = 0; k < depth; k += DEPTH) {
        a.depth = smaller(DEPTH, depth - k);
        for (long row = 0; row < rows; row += ROWS) {
            const Left<Real> block{a.data + k * a.step + row * a.row, a.row, a.step, a.depth};
            for (long start = 0; start < right.columns; start += PANEL<Real>) {
                Result<Real> part{c.data + row * c.row + start, c.row, c.columns - start, nullptr, 0};
                if (k) part.plus = part.data, part.plus_row = c.row;
                else if (c.plus) part.plus = c.plus + row * c.plus_row + start, part.plus_row = c.plus_row;
                const long width = right.width(start);
                const Real* panel = right.panel(start, 0) + k * width;
                const Term<Real> term{block, {panel, width}, panel + right.depth * width};
                strip(smaller(ROWS, rows - row), term, NOTHING<Real>, width, part);
            }
        }
    }
}

// Rows (step, row) of an array that are not evenly spaced: data[step · step_stride + row · row_stride + column].
template <class Real>
struct Rows {
    const Real* data;
    long step_stride, row_stride;

    const Real* at(long step, long row) const { return data + step * step_stride + row * row_stride; }
};

// The transposed left factor A(m, k) = rows(k)[m], in tiles of as many m as a tile of the product has rows.
template <class Real>
class Tiles {
  public:
    Tiles(long features, long most_rows) : features_(features), data_(most_rows * count() * WIDTH) {}

    // rows: (steps, batch) of ``features`` numbers each, multiplied by keep (batch, features) unless it is null.
    void pack(const Rows<Real>& rows, long steps, long batch, const Real* keep) {
        depth_ = steps * batch;
        long feature = 0;
        for (long tile = 0; tile < count(); feature += height(feature, tile), tile++)
            for (long step = 0; step < steps; step++)
                for (long row = 0; row < batch; row++) {
                    const Real* from = rows.at(step, row) + feature;
                    const Real* factor = keep ? keep + row * features_ + feature : nullptr;
                    pack_row(data_ + (tile * depth_ + step * batch + row) * WIDTH, from, factor, features_ - feature);
                }
    }

    // C (+)= A · panel.
    void times(const Real* panel, long width, Result<Real> c) const {
        long feature = 0;
        for (long tile = 0; tile < count(); tile++) {
            const long now = height(feature, tile);
            Result<Real> part = c;
            part.data += feature * c.row;
            if (part.plus) part.plus += feature * c.plus_row;
            const Real* here = data_ + tile * depth_ * WIDTH;
            const Term<Real> term{{here, 1, WIDTH, depth_}, {panel, width}, here + depth_ * WIDTH};
            strip(now, term, NOTHING<Real>, width, part);
            feature += now;
        }
    }

  private:
    static constexpr long WIDTH = (TILE_ROWS + LANES<Real> - 1) / LANES<Real> * LANES<Real>;

    long count() const { return (features_ + TILE_ROWS - 1) / TILE_ROWS; }
    long height(long feature, long tile) const {
        const long tiles = count() - tile;
        return (features_ - feature + tiles - 1) / tiles;
    }

    static void pack_row(Real* to, const Real* from, const Real* factor, long count) {
        for (long lane = 0; lane < WIDTH; lane += LANES<Real>) {
            if (lane >= count) {
                store(to + lane, Vector<Real>{});
                continue;
            }
            Vector<Real> v = load_some(from + lane, count - lane);
            if (factor) v *= load_some(factor + lane, count - lane);
            store(to + lane, v);
        }
    }

    long features_, depth_ = 0;
    Buffer<Real> data_;
};

}  // namespace
