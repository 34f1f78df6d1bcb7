// worker/rendezvous_ports.h – ports that the coordinator can give to attempts, held against everyone else
// meanwhile. Each is bound with SO_REUSEADDR and never listened on: rank 0, which binds with SO_REUSEADDR too
// (c10d's TCPStore does), can listen on it, and the kernel gives it to nobody who asks for any free port.
// Threads: one owner; moves only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace paddock::worker {

class RendezvousPorts {
 public:
  static constexpr std::size_t kPorts = 8;
  static constexpr std::size_t kPortsMax = 256;

  // kUnavailable: no ports to be had.
  static Result<RendezvousPorts> hold(std::size_t count = kPorts);
  RendezvousPorts(RendezvousPorts&&) noexcept = default;
  RendezvousPorts& operator=(RendezvousPorts&&) = delete;
  ~RendezvousPorts();

  const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  RendezvousPorts() = default;
  std::vector<int> sockets_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace paddock::worker
