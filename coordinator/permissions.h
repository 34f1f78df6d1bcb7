// coordinator/permissions.h – what each role may ask: one table. Everything that comes over the wire is held against it
// before anybody looks at what it says. Threads: pure functions.
#pragma once

#include <optional>
#include <string>

#include "wire/allow_list.h"
#include "wire/protocol.capnp.h"

namespace paddock::coordinator {

// Who sent a message.
struct Requester {
  wire::Grant grant;
  // The socket is plain, so only this machine reaches it: whoever does may do everything.
  bool is_on_plain_socket = false;
};

// kOwn: what belongs to its tenant; of a worker's messages, those about its node.
enum class Reach { kNone, kOwn, kAll };

// Who may speak now: the allow-list (access.h), or whoever a simulation lets in.
class Admission {
 public:
  virtual ~Admission() = default;
  // Who has sent a message with this key. Nothing: the key has been revoked since.
  virtual std::optional<Requester> who(const std::string& key) const = 0;
};

Reach reach_of(const Requester& requester, wire::Message::Which kind);
// Whether the table says something about it; else it is for operators alone.
bool is_stated(wire::Message::Which kind);
// Whether what belongs to `tenant` is within reach.
bool reaches(const Requester& requester, Reach reach, const std::string& tenant);

}  // namespace paddock::coordinator
