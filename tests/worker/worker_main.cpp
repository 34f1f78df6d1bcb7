// The test program, which is also the worker and the guard that it tests.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "worker/daemon.h"
#include "worker/gpu_watch.h"
#include "worker/guard.h"

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "guard") return paddock::worker::guard_main(argc - 1, argv + 1);
  if (role == "gpu-watch") return paddock::worker::gpu_watch_main();
  if (role == "worker" && argc == 4) {
    paddock::worker::WorkerOptions options;
    options.coordinator = argv[2];
    options.state = argv[3];
    options.plain = true;
    options.node = "a";
    options.gpus = "none";
    const auto served = paddock::worker::run_worker(options);
    if (!served) std::fprintf(stderr, "%s\n", served.error().message.c_str());
    return served ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
