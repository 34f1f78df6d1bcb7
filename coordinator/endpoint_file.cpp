#include "coordinator/endpoint_file.h"

#include <fstream>
#include <system_error>

#include "wire/keys.h"

namespace paddock::coordinator {

Result<void> write_endpoint(const std::filesystem::path& file, const std::string& endpoint,
                            const std::string& public_key) {
  const std::filesystem::path temporary = file.string() + ".new";
  {
    std::ofstream out(temporary, std::ios::trunc);
    out << endpoint << '\n';
    if (!public_key.empty()) out << wire::public_line({"coordinator", public_key}) << '\n';
    out.close();
    if (!out) return fail(Code::kUnavailable, "writing " + temporary.string() + " failed");
  }
  std::error_code error;
  std::filesystem::rename(temporary, file, error);
  if (error) return fail(Code::kUnavailable, "naming " + file.string() + ": " + error.message());
  return {};
}

std::string endpoint_of_last_time(const std::filesystem::path& file, const std::string& bind) {
  if (file.empty() || !bind.ends_with(":*")) return bind;
  std::ifstream in(file);
  std::string last;
  if (!std::getline(in, last)) return bind;
  const std::string host = bind.substr(0, bind.size() - 1);
  const bool is_same_host = last.starts_with(host) && last.size() > host.size() &&
                            last.find_first_not_of("0123456789", host.size()) == std::string::npos;
  return is_same_host ? last : bind;
}

}  // namespace paddock::coordinator
