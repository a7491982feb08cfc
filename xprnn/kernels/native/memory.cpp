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
constexpr int KEPT = 16;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t SMALLEST = 0, LARGEST = 0;  // none: it is to see the end of each
#else
constexpr std::size_t SMALLEST = 1 << 15, LARGEST = 1 << 20;
#endif
std::atomic<Piece*> kept[KEPT];
std::atomic<unsigned> turn;

bool is_kept(std::size_t bytes) { return bytes >= SMALLEST && bytes <= LARGEST; }

void* memory_of(Piece* piece) { return reinterpret_cast<char*>(piece) + LINE; }

void discard(Piece* piece) { ::operator delete(piece, std::align_val_t(LINE)); }

// Into the first empty place, or else in place of another.
void keep(Piece* piece) {
    for (std::atomic<Piece*>& place : kept) {
        Piece* empty = nullptr;
        if (place.compare_exchange_strong(empty, piece)) return;
    }
    discard(kept[turn++ % KEPT].exchange(piece));
}

}  // namespace

void* allocate(std::size_t bytes) {
    for (int place = 0; is_kept(bytes) && place < KEPT; place++) {
        Piece* piece = kept[place].exchange(nullptr);
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
