#include "storage/tar_pictures.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

namespace paddock::storage {

namespace {

constexpr std::array<std::string_view, 3> kExtensions{"png", "jpg",
                                                      "jpeg"};  // the first that a sample has is meant

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& c : small)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return small;
}

// Its place in kExtensions; their number: none of them.
std::size_t rank_of(std::string_view extension) {
  const std::string small = in_small_letters(extension);
  return static_cast<std::size_t>(std::find(kExtensions.begin(), kExtensions.end(), small) -
                                  kExtensions.begin());
}

struct SplitName {
  std::string_view key, extension;
};

// Nothing: no sample's, since it begins with a dot or has none.
std::optional<SplitName> split(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', begin);
  if (dot == std::string_view::npos || dot == begin) return std::nullopt;
  return SplitName{name.substr(0, dot), name.substr(dot + 1)};
}

struct Group {
  std::size_t rank = kExtensions.size();  // of its picture so far
  std::size_t picture = 0;
};

}  // namespace

bool is_picture_name(std::string_view name) {
  return split(name) && rank_of(name.substr(name.rfind('.') + 1)) < kExtensions.size();
}

TarPictures pictures_of(const TarContents& contents) {
  std::unordered_map<std::string_view, Group> groups;
  for (std::size_t i = 0; i < contents.members.size(); ++i) {
    const auto name = split(contents.members[i].name);
    if (!name) continue;
    Group& group = groups[name->key];
    // As when a tar is unpacked, a name that comes again takes the place of the one before.
    if (const std::size_t rank = rank_of(name->extension); rank < kExtensions.size() && rank <= group.rank)
      group = {rank, i};
  }
  TarPictures pictures{.members = {},
                       .passed_over = contents.others,
                       .first_passed_over = contents.others > 0 ? contents.first_other : ""};
  for (std::size_t i = 0; i < contents.members.size(); ++i) {
    const std::string& full = contents.members[i].name;
    const auto name = split(full);
    const Group* group = name ? &groups.at(name->key) : nullptr;
    const bool has_picture = group && group->rank < kExtensions.size();
    if (has_picture ? group->picture == i : is_picture_name(full)) {
      pictures.members.push_back(i);
    } else if (!has_picture || rank_of(name->extension) < kExtensions.size()) {
      if (pictures.passed_over++ == 0) pictures.first_passed_over = full;
    }
  }
  return pictures;
}

}  // namespace paddock::storage
