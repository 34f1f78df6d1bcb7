#include "storage/checkpoint_folders.h"

#include <algorithm>
#include <tuple>

namespace paddock::storage {

namespace {
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kReplaced = ".replaced";
constexpr std::size_t kDigits = 10;
}  // namespace

std::string step_name(std::int64_t step) {
  const std::string digits = std::to_string(step);
  return std::string(kPrefix) + std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits;
}

std::optional<StepFolder> parse_step_folder(const fs::path& path) {
  const std::string name = path.filename().string();
  std::string_view rest = name;
  StepFolder folder{.step = 0, .is_replaced = rest.ends_with(kReplaced), .path = path};
  if (folder.is_replaced) rest.remove_suffix(kReplaced.size());
  if (!rest.starts_with(kPrefix)) return std::nullopt;
  rest.remove_prefix(kPrefix.size());
  if (rest.size() != kDigits || rest.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  for (const char digit : rest) folder.step = 10 * folder.step + (digit - '0');
  return folder;
}

Result<std::vector<StepFolder>> list_step_folders(Disk& disk, const fs::path& run_dir) {
  const fs::path dir = checkpoints_dir(run_dir);
  std::vector<StepFolder> folders;
  const auto names = disk.list(dir);
  if (!names && names.error().code == Code::kNotFound) return folders;
  if (!names) return tl::unexpected(names.error().within("listing checkpoints"));
  for (const std::string& name : *names)
    if (auto folder = parse_step_folder(dir / name)) folders.push_back(*std::move(folder));
  std::sort(folders.begin(), folders.end(), [](const StepFolder& a, const StepFolder& b) {
    return std::tuple(-a.step, a.is_replaced) < std::tuple(-b.step, b.is_replaced);
  });
  return folders;
}

}  // namespace paddock::storage
