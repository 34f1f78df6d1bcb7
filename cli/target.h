// cli/target.h – from what the command line and the state folder say to an endpoint and the keys for it.
// Threads: pure but for reading files. Errors: kUnavailable: no endpoint is known; kInvalid: keys are missing or no keys.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cli/command.h"
#include "wire/authentication.h"

namespace paddock::cli {

struct Address {
  std::string endpoint;
  std::optional<wire::ClientSecurity> security;  // none: plain

  // Whether both lead to the same coordinator.
  bool operator==(const Address& other) const;
};

// The endpoint file of a coordinator without keys leads to a plain connection; --coordinator needs either keys or
// --plain.
Result<Address> resolve(const Target& target);

}  // namespace paddock::cli
