#include "jobs/stop_request.h"

#include <atomic>
#include <csignal>

namespace paddock::jobs {
namespace {

std::atomic<bool> requested = false;
static_assert(std::atomic<bool>::is_always_lock_free, "used in a signal handler");

void on_signal(int) {
  requested = true;
}

}  // namespace

void listen_for_stop_request() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART | SA_RESETHAND;  // the second signal finds the default action
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

bool is_stop_requested() {
  return requested;
}

}  // namespace paddock::jobs
