#include "worker/identity.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/ids.h"
#include "base/limits.h"

namespace paddock::worker {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

// The address of this machine that packets to the coordinator leave from: the one that other nodes likely
// reach.
Result<std::string> address_facing(const std::string& endpoint) {
  constexpr std::string_view kScheme = "tcp://";
  const std::size_t colon = endpoint.rfind(':');
  if (!endpoint.starts_with(kScheme) || colon < kScheme.size() || colon + 1 >= endpoint.size()) {
    return fail(Code::kInvalid, "the coordinator's endpoint '" + endpoint + "' is not like tcp://host:7373");
  }
  const std::string host = endpoint.substr(kScheme.size(), colon - kScheme.size());
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), endpoint.substr(colon + 1).c_str(), &hints, &list);
  if (failed != 0) return fail(Code::kUnavailable, "looking up '" + host + "': " + gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(list, &freeaddrinfo);
  const int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  socklen_t length = sizeof own;
  const bool is_known = probe >= 0 && connect(probe, found->ai_addr, found->ai_addrlen) == 0 &&
                        getsockname(probe, reinterpret_cast<sockaddr*>(&own), &length) == 0;
  if (probe >= 0) close(probe);
  char text[INET_ADDRSTRLEN] = {};
  if (!is_known || inet_ntop(AF_INET, &own.sin_addr, text, sizeof text) == nullptr) {
    return fail(Code::kUnavailable, "no route to " + endpoint + "; give --address");
  }
  return std::string(text);
}

}  // namespace

Result<Identity> make_identity(const WorkerOptions& options, const std::vector<Gpu>& gpus) {
  Identity identity;
  identity.node = options.node.empty() ? host_name() : options.node;
  if (!is_name(identity.node)) {
    return fail(Code::kInvalid, "the node's name '" + identity.node +
                                    "' must be letters, digits, '.', '_', '-', at most " +
                                    std::to_string(limits::kNameBytesMax));
  }
  TRY_ASSIGN(const std::string facing, address_facing(options.coordinator), "finding this node's address");
  identity.address = options.address.empty() ? facing : options.address;
  identity.labels = options.labels;
  identity.cpus = options.cpus.value_or(usable_cpus());
  identity.memory_bytes = options.memory_bytes.value_or(usable_memory_bytes());
  if (identity.cpus == 0) return fail(Code::kInvalid, "--cpus must be at least 1");
  TRY_ASSIGN(identity.gpus, choose_gpus(gpus, options.gpus), "choosing the GPUs");
  while (identity.incarnation == 0) {
    if (getrandom(&identity.incarnation, sizeof identity.incarnation, 0) != sizeof identity.incarnation) {
      return fail(Code::kUnavailable, "the kernel gives no random number");
    }
  }
  return identity;
}

}  // namespace paddock::worker
