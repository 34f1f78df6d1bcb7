// jobs/stop_request.h – SIGTERM as a request: the loop asks once a step, saves and ends with exit code 75.
#pragma once

namespace paddock::jobs {

inline constexpr int kStoppedExitCode = 75;

// From now on SIGTERM and SIGINT set the request instead of ending the process; a second one ends it.
void listen_for_stop_request();
bool is_stop_requested();

// For work whose results are saved as it goes: ends it at a point where nothing is lost. Caught in main.
struct StoppedOnRequest {};
inline void throw_if_stop_requested() {
  if (is_stop_requested()) throw StoppedOnRequest{};
}

}  // namespace paddock::jobs
