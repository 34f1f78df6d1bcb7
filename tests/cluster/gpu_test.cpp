// GPUs that fall ill under a running job, with a stub in the place of NVIDIA's library.

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

class GpuHealth : public RealCluster {
 protected:
  // A worker with one GPU, to which things befall through this pipe.
  std::unique_ptr<Fifo> start_gpu_worker(const std::string& name) {
    auto faults = std::make_unique<Fifo>(folder / (name + ".faults"));
    start_worker(name, {"--gpus", "all"},
                 {"LD_LIBRARY_PATH=" PADDOCK_STUB_NVML, "PADDOCK_STUB_GPUS=1",
                  "PADDOCK_STUB_FAULTS=" + faults->path.string()});
    return faults;
  }
  Json fault_of(const std::string& node) const {
    const Json answer = ask({"nodes"});
    for (const Json& found : answer.at("nodes"))
      if (found.at("node") == node) return found.at("gpus").at(0).at("fault");
    ADD_FAILURE() << "no node " << node;
    return {};
  }
  std::uint64_t submit_job(const Fifo& said, const Fifo& go) {
    return submit(
        "graph: g\njobs:\n  job: { kind: command, retry: { limit: 0 }, resources: { gpus: 1 }, command: [sh, "
        "-c, 'echo "
        "$PADDOCK_FENCE > " +
        said.path.string() + "; read code < " + go.path.string() + "; exit $code'] }\n");
  }
};

TEST_F(GpuHealth, ADeviceFaultWithdrawsTheGpuAndItsRankRunsElsewhereForFree) {
  start_coordinator();
  const auto faults = start_gpu_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id = submit_job(said, go);
  said.read_line();
  faults->write_line("xid 0 79");
  wait_for_log("coordinator", "gpu_withdrawn");
  EXPECT_EQ(fault_of("a"), "Xid 79 (the GPU has fallen off the bus)");
  EXPECT_NE(paddock({"nodes"}).out.find("GPU-stub-0 is withdrawn: Xid 79"), std::string::npos);
  go.write_line("1");  // it fails, as a program on such a device does
  const auto other = start_gpu_worker("b");
  said.read_line();
  go.write_line("0");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const Json attempts = job(ended, "job").at("attempts");
  ASSERT_EQ(attempts.size(), 2u) << "no retry was asked for: a node's fault is none of the job's";
  EXPECT_EQ(attempts[0].at("outcome"), "node_lost");
  EXPECT_NE(attempts[0].at("reason").get<std::string>().find("Xid 79"), std::string::npos)
      << attempts.dump(1);
  EXPECT_EQ(attempts[1].at("nodes")[0], "b");
}

TEST_F(GpuHealth, AnErrorOfTheProgramIsTheJobsOwnAndWithdrawsNothing) {
  start_coordinator();
  const auto faults = start_gpu_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id = submit_job(said, go);
  said.read_line();
  faults->write_line("xid 0 31");
  wait_for_log("a", "gpu_application_error");
  go.write_line("1");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "failed") << ended.dump(1);
  EXPECT_EQ(job(ended, "job").at("attempts").at(0).at("outcome"), "failed");
  EXPECT_TRUE(fault_of("a").is_null());
}

TEST_F(GpuHealth, ADriverThatHangsHurtsNobody) {
  start_coordinator("2s");
  const auto faults = start_gpu_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto before = submit_job(said, go);
  said.read_line();
  faults->write_line("hang");
  wait_for_log("a", "gpu_health_unknown");  // after many leases
  go.write_line("0");
  EXPECT_EQ(wait_until_ended(before).at("state"), "succeeded");
  const auto after = submit_job(said, go);
  said.read_line();
  go.write_line("0");
  const Json ended = wait_until_ended(after);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  EXPECT_TRUE(fault_of("a").is_null());
}

}  // namespace
}  // namespace paddock::cluster_test
