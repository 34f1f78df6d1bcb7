// coordinator/endpoint_file.h – where clients and workers on this machine find the coordinator: a file with
// its endpoint, and below it the public key that it shows ("paddock-public-key coordinator KEY"; none: it is plain).
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace paddock::coordinator {

// Replaces the file as a whole, so that a reader never sees half of it. kUnavailable: the disk refused.
Result<void> write_endpoint(const std::filesystem::path& file, const std::string& endpoint,
                            const std::string& public_key);

// Where to bind: `bind`, but with port * the port of last time that `file` names, if it is for the same host.
// So workers that were connected find a restarted coordinator again.
std::string endpoint_of_last_time(const std::filesystem::path& file, const std::string& bind);

}  // namespace paddock::coordinator
