#include "pool.h"

#include <sched.h>
#include <unistd.h>

#if defined(__linux__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ow {
namespace {

// About 100 us of pauses on current CPUs: longer than the serial parts of a step, shorter than anyone would notice.
constexpr int kSpins = 4000;

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Ties a thread to the `which`-th CPU that this process may use. A refusal is no error: the thread stays unpinned.
void pin(std::thread& thread, int which) {
#if defined(__linux__)
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  which %= CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || which-- != 0) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(thread.native_handle(), sizeof one, &one);
    return;
  }
#else
  (void)thread, (void)which;
#endif
}

}  // namespace

Pool::Pool(int num_threads, bool pinned) : owner_(getpid()) {
  workers_.reserve(size_t(num_threads - 1));
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
    if (pinned) pin(workers_.back(), thread);
  }
}

Pool::~Pool() {
  if (getpid() != owner_) {
    for (std::thread& worker : workers_) worker.detach();
    return;
  }
  {
    std::lock_guard<std::mutex> lock(sleep_);
    stopping_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::run_all(int64_t num_tasks, Call call, const void* task) {
  if (num_tasks <= 1 || workers_.empty() || getpid() != owner_) {
    for (int64_t i = 0; i < num_tasks; ++i) call(task, i, 0);
    return;
  }
  call_.store(call, std::memory_order_relaxed);
  task_.store(task, std::memory_order_relaxed);
  num_tasks_.store(num_tasks, std::memory_order_relaxed);
  num_done_.store(0, std::memory_order_relaxed);
  const uint64_t section = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(section << 32 | uint64_t(num_tasks));  // sequentially consistent, as is the sleeper's count
  if (num_sleeping_.load() > 0) {
    std::lock_guard<std::mutex> lock(sleep_);
    wake_.notify_all();
  }
  while (claim_and_run(0)) {
  }
  for (int spins = 0; num_done_.load(std::memory_order_acquire) != num_tasks; ++spins) {
    pause();
    if (spins > kSpins) sched_yield();
  }
}

bool Pool::claim_and_run(int thread) {
  uint64_t seen = ticket_.load(std::memory_order_acquire);
  uint32_t taken;
  do {
    const uint32_t left = uint32_t(seen);
    if (left == 0) return false;
    taken = left / uint32_t(2 * num_threads());  // large bites first, single tasks at the end
    if (taken == 0) taken = 1;
  } while (!ticket_.compare_exchange_weak(seen, seen - taken, std::memory_order_acq_rel, std::memory_order_acquire));
  const Call call = call_.load(std::memory_order_relaxed);
  const void* task = task_.load(std::memory_order_relaxed);
  const int64_t first = num_tasks_.load(std::memory_order_relaxed) - uint32_t(seen);
  for (int64_t i = first; i < first + taken; ++i) call(task, i, thread);
  num_done_.fetch_add(taken, std::memory_order_acq_rel);
  return true;
}

void Pool::work(int thread) {
  while (!stopping_.load(std::memory_order_relaxed)) {
    for (int spins = 0; idle() && spins < kSpins && !stopping_.load(std::memory_order_relaxed); ++spins) pause();
    if (idle()) {
      std::unique_lock<std::mutex> lock(sleep_);
      num_sleeping_.fetch_add(1);
      wake_.wait(lock, [this] { return stopping_.load() || uint32_t(ticket_.load()) != 0; });
      num_sleeping_.fetch_sub(1);
    }
    while (claim_and_run(thread)) {
    }
  }
}

}  // namespace ow
