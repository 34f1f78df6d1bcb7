#include "worker/rendezvous_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace paddock::worker {

Result<RendezvousPorts> RendezvousPorts::hold(std::size_t count) {
  RendezvousPorts held;
  while (held.ports_.size() < count) {
    const int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t length = sizeof address;
    if (holder >= 0) held.sockets_.push_back(holder);
    // The option comes after the kernel has chosen: with it set, the kernel may choose a port that another
    // one holds.
    const bool is_bound = holder >= 0 &&
                          bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                          setsockopt(holder, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                          getsockname(holder, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    if (!is_bound) {
      return fail(Code::kUnavailable,
                  "holding a port for rendezvous: " + std::generic_category().message(errno));
    }
    held.ports_.push_back(ntohs(address.sin_port));
  }
  return held;
}

RendezvousPorts::~RendezvousPorts() {
  for (const int holder : sockets_) close(holder);
}

}  // namespace paddock::worker
