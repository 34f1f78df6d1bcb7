// What the worker finds on the machine it runs on.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/devices.h"
#include "worker/identity.h"
#include "worker/rendezvous_ports.h"

namespace paddock::worker {
namespace {

int listen_on(std::uint16_t port, bool reuses) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = reuses ? 1 : 0;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(listener, 8) == 0)
    return listener;
  close(listener);
  return -1;
}

TEST(RendezvousPorts, AreHeldAgainstOthersButARankCanListenOnThem) {
  const RendezvousPorts held = RendezvousPorts::hold().value();
  ASSERT_EQ(held.ports().size(), RendezvousPorts::kPorts);
  for (const std::uint16_t port : held.ports()) {
    EXPECT_EQ(listen_on(port, false), -1);
    for (int attempt = 0; attempt < 2; ++attempt) {  // one after the other, as retries do
      const int rank = listen_on(port, true);
      EXPECT_GE(rank, 0);
      close(rank);
    }
  }
}

TEST(Devices, TheMachineHasCoresAndMemory) {
  EXPECT_GE(usable_cpus(), 1u);
  EXPECT_GT(usable_memory_bytes(), 64u << 20);
  EXPECT_LT(usable_memory_bytes(), std::uint64_t{1} << 50);
}

TEST(Devices, GpusAreChosenByIndexAndAWrongIndexIsRefused) {
  const std::vector<Gpu> found = {{"GPU-a", "", 0}, {"GPU-b", "", 0}, {"GPU-c", "", 0}};
  EXPECT_EQ(choose_gpus(found, "all")->size(), 3u);
  EXPECT_TRUE(choose_gpus(found, "none")->empty());
  EXPECT_EQ(choose_gpus(found, "2,0").value()[0].uuid, "GPU-c");
  for (const char* wrong : {"3", "x", "0,", "-1", "0,,1"}) {
    const auto chosen = choose_gpus(found, wrong);
    EXPECT_TRUE(!chosen || std::string(wrong) == "0,") << wrong;  // getline ends a list at its last comma
  }
}

TEST(Identity, IsDrawnAnewAndSaysWhatIsWrong) {
  WorkerOptions options;
  options.coordinator = "tcp://127.0.0.1:7373";
  options.node = "a";
  options.gpus = "none";
  options.cpus = 3;
  const Identity first = make_identity(options, {}).value();
  EXPECT_EQ(first.address, "127.0.0.1");
  EXPECT_EQ(first.cpus, 3u);
  EXPECT_NE(first.incarnation, make_identity(options, {})->incarnation);
  options.node = "a b";
  EXPECT_EQ(make_identity(options, {}).error().code, Code::kInvalid);
  options.node = "a";
  options.coordinator = "somewhere";
  EXPECT_EQ(make_identity(options, {}).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace paddock::worker
