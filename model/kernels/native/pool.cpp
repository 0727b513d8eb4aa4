#include "pool.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

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

// Time lost in one operation, to preemption and to waiting for preempted helpers, that counts as crowding: about a
// third of a scheduling slice, and a share that shows. Then how long to run alone, at first and at most.
constexpr Nanoseconds kCrowded = std::chrono::milliseconds(1);
constexpr int kCrowdedShare = 5;
constexpr Nanoseconds kAloneAtFirst = std::chrono::milliseconds(10);
constexpr Nanoseconds kAloneAtMost = std::chrono::milliseconds(640);

Nanoseconds read_clock(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + Nanoseconds(t.tv_nsec);
}

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
  if (num_tasks <= 1 || alone_) {
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
  wait_for(num_tasks);
}

void Pool::wait_for(int64_t num_tasks) {
  const auto all_done = [&] { return num_done_.load(std::memory_order_acquire) == num_tasks; };
  for (int spins = 0; spins < kSpins; ++spins) {
    if (all_done()) return;
    pause();
  }
  const Nanoseconds start = read_clock(CLOCK_MONOTONIC);
  while (!all_done()) sched_yield();
  waited_ += read_clock(CLOCK_MONOTONIC) - start;
}

Pool::Operation::Operation(Pool& pool)
    : pool_(pool),
      lock_(pool.callers_),
      start_(read_clock(CLOCK_MONOTONIC)),
      cpu_start_(read_clock(CLOCK_THREAD_CPUTIME_ID)) {
  pool.waited_ = Nanoseconds(0);
  pool.alone_ = pool.workers_.empty() || getpid() != pool.owner_ || start_ < pool.alone_until_;
}

Pool::Operation::~Operation() {
  if (pool_.alone_) return;
  const Nanoseconds now = read_clock(CLOCK_MONOTONIC), elapsed = now - start_;
  const Nanoseconds lost = elapsed - (read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_start_) + pool_.waited_;
  if (lost > kCrowded && lost * kCrowdedShare > elapsed) {
    pool_.alone_for_ = std::min(std::max(pool_.alone_for_ * 2, kAloneAtFirst), kAloneAtMost);
    pool_.alone_until_ = now + pool_.alone_for_;
  } else if (now > pool_.alone_until_ + pool_.alone_for_) {  // helped for as long as it last ran alone
    pool_.alone_for_ = Nanoseconds(0);
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
