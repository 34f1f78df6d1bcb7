#include "cli/target.h"

#include <fstream>

#include "wire/keys.h"

namespace paddock::cli {
namespace {

struct EndpointFile {
  std::string endpoint;
  std::string server_key;  // "": the coordinator is plain
};

Result<EndpointFile> read_endpoint_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  EndpointFile read;
  if (!std::getline(file, read.endpoint) || read.endpoint.empty()) {
    return fail(Code::kUnavailable, "no coordinator: " + path.string() +
                                        " does not exist; start `paddock dev` here, or "
                                        "name one with --coordinator tcp://HOST:PORT");
  }
  std::string line;
  if (!std::getline(file, line) || line.empty()) return read;
  auto key = wire::parse_public_line(line);
  if (!key) return tl::unexpected(key.error().within(path.string()));
  read.server_key = key->public_key;
  return read;
}

}  // namespace

bool Address::operator==(const Address& other) const {
  const auto key_of = [](const Address& address) {
    return address.security ? address.security->server_key : std::string();
  };
  return endpoint == other.endpoint && key_of(*this) == key_of(other);
}

Result<Address> resolve(const Target& target) {
  Address address{target.coordinator, std::nullopt};
  std::string server_key = target.server_key;
  bool is_plain = target.plain;
  if (target.coordinator.empty()) {
    auto file = read_endpoint_file(target.state / "endpoint");
    if (!file) return tl::unexpected(file.error());
    address.endpoint = file->endpoint;
    if (server_key.empty()) server_key = file->server_key;
    is_plain = is_plain || server_key.empty();
  }
  if (is_plain) {
    if (!target.key.empty() || !target.server_key.empty())
      return fail(Code::kInvalid,
                  "keys are given, but the connection would be plain: leave them out, or --plain");
    return address;
  }
  const std::filesystem::path own = target.key.empty() ? target.state / "client.secret" : target.key;
  std::error_code unreadable;
  if (server_key.empty() || (target.key.empty() && !std::filesystem::exists(own, unreadable))) {
    return fail(Code::kInvalid,
                "the coordinator at " + address.endpoint + " is spoken to with keys: give " +
                    (server_key.empty() ? "its public one (--server-key) and " : "") +
                    "yours (--key, or as " + (target.state / "client.secret").string() +
                    "; `paddock keys new` makes one); --plain goes without, on this machine only");
  }
  TRY_ASSIGN(address.security, wire::read_client_security(own, server_key), "reading the keys");
  return address;
}

}  // namespace paddock::cli
