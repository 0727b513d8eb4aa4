// Worker threads that claim small tasks. Spins briefly, then sleeps; never waits for a thread that has claimed nothing.
//
// A parallel section ends when its tasks are done, not when every thread has arrived: a worker that the system has put
// aside while it was idle costs its help and no more. Which thread runs a task is left to chance, so tasks must not
// let results depend on it.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace ow {

using Nanoseconds = std::chrono::nanoseconds;

class Pool {
 public:
  // `num_threads` counts the caller of `run`.
  Pool(int num_threads, bool pinned);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int num_threads() const { return int(workers_.size()) + 1; }

  // One caller's use of the pool, from the first section to the last; other callers wait.
  //
  // Where more threads want to run than there are CPUs, each section would wait for a helper that the system has put
  // aside in the middle of a task. So when an operation has lost time, the next ones run alone: the helpers sleep, and
  // the caller keeps a CPU for itself. After a while help is tried again, ever more rarely while it fails.
  class Operation {
   public:
    explicit Operation(Pool& pool);
    ~Operation();
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

   private:
    Pool& pool_;
    std::lock_guard<std::mutex> lock_;
    Nanoseconds start_, cpu_start_;
  };

  // Calls task(index, thread) for each index below `num_tasks`; `thread` is below num_threads().
  template <typename Task>
  void run(int64_t num_tasks, const Task& task) {
    run_all(num_tasks, [](const void* t, int64_t i, int thread) { (*static_cast<const Task*>(t))(i, thread); }, &task);
  }

 private:
  using Call = void (*)(const void* task, int64_t index, int thread);

  void run_all(int64_t num_tasks, Call call, const void* task);
  bool claim_and_run(int thread);
  void work(int thread);
  void wait_for(int64_t num_tasks);
  bool idle() const { return uint32_t(ticket_.load(std::memory_order_acquire)) == 0; }

  // Section number in the upper half, unclaimed tasks in the lower. The fields of a section change only while no task
  // of it is claimed and unfinished, and claiming compares the whole ticket, so a claim never sees another section's.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> num_done_{0};
  alignas(64) std::atomic<Call> call_{nullptr};
  std::atomic<const void*> task_{nullptr};
  std::atomic<int64_t> num_tasks_{0};

  alignas(64) std::atomic<int> num_sleeping_{0};
  std::atomic<bool> stopping_{false};
  std::mutex sleep_;
  std::condition_variable wake_;
  std::mutex callers_;

  // Of the operation that runs, and what was learned from earlier ones.
  bool alone_ = false;
  Nanoseconds waited_{0};       // for helpers, noticeably long
  Nanoseconds alone_until_{0};  // on the monotonic clock
  Nanoseconds alone_for_{0};
  std::vector<std::thread> workers_;
  pid_t owner_;  // a forked child has no workers and runs its tasks alone
};

}  // namespace ow
