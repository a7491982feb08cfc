// Memory.
#include <atomic>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

#include "interface.h"

namespace native {
namespace {

constexpr std::size_t LINE = 64;

// A piece of memory; what is asked for begins a line behind this.
struct Piece {
    std::size_t bytes;
};

Piece* make(std::size_t bytes) { return new (::operator new(bytes + LINE, std::align_val_t(LINE))) Piece{bytes}; }
void discard(Piece* piece) { ::operator delete(piece, std::align_val_t(LINE)); }

// Pieces given back, for whoever asks next: the system takes large ones away and hands them out page by page, each
// cleared anew, which takes as long as many steps. Small ones it keeps itself.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t SMALLEST = 0, MOST = 0;  // none: it is to see the end of each
#else
constexpr std::size_t SMALLEST = 1 << 15, MOST = 128 << 20;
#endif
bool is_kept(std::size_t bytes) { return bytes >= SMALLEST && bytes <= MOST; }

class Shelf {
  public:
    Shelf() { pieces.reserve(PLACES + 1); }

    // The smallest piece of so many bytes to below so many, from here on the caller's; null if there is none.
    Piece* take(std::size_t from, std::size_t below) {
        Held held(*this);
        auto best = pieces.end();
        for (auto one = pieces.begin(); one != pieces.end(); one++)
            if ((*one)->bytes >= from && (*one)->bytes < below) best = one, below = (*one)->bytes;
        return best == pieces.end() ? nullptr : remove(best);
    }

    // Keep a piece, and no longer those that were put here first, where there are too many or they are too large.
    void put(Piece* piece) {
        Held held(*this);
        pieces.push_back(piece);
        bytes += piece->bytes;
        while (pieces.size() > PLACES || bytes > MOST) discard(remove(pieces.begin()));
    }

    // Short enough to wait for awake.
    void lock() {
        while (busy.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    }
    void unlock() { busy.clear(std::memory_order_release); }

  private:
    static constexpr std::size_t PLACES = 32;
    using Held = std::lock_guard<Shelf>;

    Piece* remove(std::vector<Piece*>::iterator place) {
        Piece* piece = *place;
        pieces.erase(place);
        bytes -= piece->bytes;
        return piece;
    }

    std::atomic_flag busy = ATOMIC_FLAG_INIT;  // of all that follows
    std::vector<Piece*> pieces;                // in the order in which they came
    std::size_t bytes = 0;                     // of all of them
};

// Never destroyed, like the threads that may be using it.
Shelf& shelf = *new Shelf;

#ifndef _WIN32
// A child of fork finds it whole, and in nobody's hands.
[[maybe_unused]] const int watched =
    pthread_atfork([] { shelf.lock(); }, [] { shelf.unlock(); }, [] { shelf.unlock(); });
#endif

}  // namespace

// A piece up to twice as large will do; one that is too small makes room for what is asked for in its place, so that
// sizes that grow from call to call do not pile up.
void* allocate(std::size_t bytes) {
    Piece* piece = nullptr;
    if (is_kept(bytes)) {
        piece = shelf.take(bytes, 2 * bytes + 1);
        if (!piece) discard(shelf.take(bytes / 2, bytes));
    }
    if (!piece) piece = make(bytes);
    return reinterpret_cast<char*>(piece) + LINE;
}

void release(void* memory) {
    if (!memory) return;
    Piece* piece = reinterpret_cast<Piece*>(static_cast<char*>(memory) - LINE);
    if (is_kept(piece->bytes)) shelf.put(piece);
    else discard(piece);
}

}  // namespace native
