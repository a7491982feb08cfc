// Memory.
#include <atomic>
#include <new>

#include "interface.h"

namespace native {
namespace {

constexpr std::size_t LINE = 64;

// A piece of memory; what is asked for begins a line behind this.
struct Piece {
    std::size_t bytes;
};

// Pieces given back, for whoever asks next: the system takes large ones away and hands them out page by page, each
// cleared anew, which takes as long as many steps. Small ones it keeps itself, and there is a limit to ours.
constexpr int PLACES = 32;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t SMALLEST = 0, MOST = 0;  // none: it is to see the end of each
#else
constexpr std::size_t SMALLEST = 1 << 15, MOST = 128 << 20;
#endif
std::atomic<Piece*> kept[PLACES];
std::atomic<std::size_t> held;  // the bytes of all those
std::atomic<unsigned> turn;

bool is_kept(std::size_t bytes) { return bytes >= SMALLEST && bytes <= MOST; }

void* memory_of(Piece* piece) { return reinterpret_cast<char*>(piece) + LINE; }

void discard(Piece* piece) { ::operator delete(piece, std::align_val_t(LINE)); }

// What is in a place, in exchange.
Piece* put(int place, Piece* piece) {
    if (piece) held += piece->bytes;
    Piece* before = kept[place].exchange(piece);
    if (before) held -= before->bytes;
    return before;
}

// Into the first empty place, or else in place of another; others go, in turn, where it is too much.
void keep(Piece* piece) {
    for (int place = 0; piece && place < PLACES; place++)
        if (!kept[place].load(std::memory_order_relaxed)) piece = put(place, piece);
    if (piece) discard(put(turn++ % PLACES, piece));
    for (int tries = 0; held > MOST && tries < PLACES; tries++) discard(put(turn++ % PLACES, nullptr));
}

}  // namespace

void* allocate(std::size_t bytes) {
    for (int place = 0; is_kept(bytes) && place < PLACES; place++) {
        if (!kept[place].load(std::memory_order_relaxed)) continue;
        Piece* piece = put(place, nullptr);
        if (!piece) continue;
        if (piece->bytes >= bytes && piece->bytes <= 2 * bytes) return memory_of(piece);
        keep(piece);
    }
    return memory_of(new (::operator new(bytes + LINE, std::align_val_t(LINE))) Piece{bytes});
}

void release(void* memory) {
    if (!memory) return;
    Piece* piece = reinterpret_cast<Piece*>(static_cast<char*>(memory) - LINE);
    if (is_kept(piece->bytes)) keep(piece);
    else discard(piece);
}

}  // namespace native
