// heapPages - preloaded into a Node that evaluates and then ends: gives V8 the pages of its heap side by side, in huge
// pages where the kernel has them, touched before they are needed.
//
// V8 maps each page of 256 KiB at a random address. So each brings page tables of its own, none can be part of a huge
// page, and each 4 KiB of it is a fault: a tenth of an evaluation (tests/bench/README.md). Here the pages come from one
// reservation, and a thread has the kernel fill it a little ahead of the evaluator. What is not as V8 asks, or finds no
// room, goes to the kernel as ever.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// Bytes of V8's pages, which are aligned to as many.
constexpr uintptr_t kPage = 256 << 10;
// What V8 maps in order to cut an aligned page from it; it gives the rest back at once.
constexpr size_t kRequest = 2 * kPage - 4096;
constexpr uintptr_t kHugePage = 2 << 20;
// Address space alone: memory is taken as it is touched.
constexpr size_t kReservation = size_t{64} << 30;
// How far filled memory reaches beyond what V8 has; more is no faster, and counts as the process's memory.
constexpr uintptr_t kAhead = 2 << 20;
// The C library's headers may be older than the kernel.
constexpr int kPopulateWrite = 23;

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
// Of the reservation: where it begins and ends (nowhere until a page is asked for), where the next page is, and how far
// it is filled.
uintptr_t start, end, next, filled;
// Pages given back, to be had again.
uint32_t returned[kReservation / kPage];
size_t returnedCount;

// Asked without the lock: `end` is written last.
bool isReserved(uintptr_t address) { return address < __atomic_load_n(&end, __ATOMIC_ACQUIRE) && address >= start; }

void* map(uintptr_t address, size_t length, int protection, int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

// As it was when it was reserved: empty, whatever V8 forbade or discarded in it. Huge pages are asked for, and no child
// gets it, as V8 would have it.
bool renew(uintptr_t address, size_t length, int fixed) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = map(address, length, PROT_READ | PROT_WRITE, kFlags | fixed, -1, 0);
  if (memory != reinterpret_cast<void*>(address)) return false;
  syscall(SYS_madvise, address, length, MADV_HUGEPAGE);
  syscall(SYS_madvise, address, length, MADV_DONTFORK);
  return true;
}

void fill(uintptr_t address, size_t length) { syscall(SYS_madvise, address, length, kPopulateWrite); }

[[noreturn]] void* fillAhead(void*) {
  pthread_mutex_lock(&lock);
  for (;;) {
    while (filled >= next + kAhead || filled + kHugePage > end) pthread_cond_wait(&wanted, &lock);
    const uintptr_t address = filled;
    pthread_mutex_unlock(&lock);
    fill(address, kHugePage);
    pthread_mutex_lock(&lock);
    filled = address + kHugePage;
  }
}

// With every signal blocked: they are the program's.
void startFilling() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  pthread_t thread;
  pthread_create(&thread, &attributes, fillAhead, nullptr);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// At an address that V8 itself might have chosen.
void reserve(uintptr_t hint) {
  const uintptr_t aligned = hint & ~(kHugePage - 1);
  if (!renew(aligned, kReservation, MAP_FIXED_NOREPLACE)) return;
  start = next = filled = aligned;
  __atomic_store_n(&end, start + kReservation, __ATOMIC_RELEASE);
  startFilling();
}

// 0 where there is none.
uintptr_t takePage(uintptr_t hint) {
  pthread_mutex_lock(&lock);
  if (end == 0) reserve(hint);
  uintptr_t page = 0;
  const bool isUsed = returnedCount > 0;
  if (isUsed) {
    page = start + returned[--returnedCount] * kPage;
  } else if (next < end) {
    page = next;
    next += kPage;
    if (filled < next + kAhead) pthread_cond_signal(&wanted);
  }
  pthread_mutex_unlock(&lock);
  if (isUsed) fill(page, kPage);
  return page;
}

// Whatever else than a page is what V8 cuts off from a request: another page's, or will be.
void giveBack(uintptr_t address, size_t length) {
  if (length != kPage || !renew(address, length, MAP_FIXED)) return;
  pthread_mutex_lock(&lock);
  returned[returnedCount++] = static_cast<uint32_t>((address - start) / kPage);
  pthread_mutex_unlock(&lock);
}

// Neither the program's own variables nor what it starts have this library among them.
__attribute__((constructor)) void hide() { unsetenv("LD_PRELOAD"); }

}  // namespace

extern "C" {

void* mmap64(void* hint, size_t length, int protection, int flags, int fd, off_t offset) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(hint);
  if (length == kRequest && address != 0 && address % kPage == 0 && protection == (PROT_READ | PROT_WRITE) &&
      flags == (MAP_PRIVATE | MAP_ANONYMOUS)) {
    const uintptr_t page = takePage(address);
    if (page != 0) return reinterpret_cast<void*>(page);
  }
  return map(address, length, protection, flags, fd, offset);
}

int munmap(void* memory, size_t length) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  if (!isReserved(address)) return static_cast<int>(syscall(SYS_munmap, address, length));
  giveBack(address, length);
  return 0;
}

// The reservation is no child's already: to say so of each page would wait for the thread that fills.
int madvise(void* memory, size_t length, int advice) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  if (advice == MADV_DONTFORK && isReserved(address)) return 0;
  return static_cast<int>(syscall(SYS_madvise, address, length, advice));
}
}
