#include <limits>
#include <utility>

#include "base/limits.h"
#include "jobs/spec/document.h"

namespace paddock::spec {
namespace {

// Builds the value from the parser's events, and ends it at the first thing that document.cpp would refuse.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Document document;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override {
    return std::in_range<std::int64_t>(value) && add(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override {
    return value.find('\0') == std::string::npos && weighs(value.size() / 64) && add(std::move(value));
  }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    const bool is_right = name.size() <= limits::kNameBytesMax && name.find('\0') == std::string::npos &&
                          weighs(1 + name.size() / 64);
    if (!is_right) return false;
    const auto [at, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(name, nullptr);
    if (!is_new) return false;
    if (open_.size() <= 2) document.order[open_.size() == 1 ? "" : top_key_].push_back(name);
    if (open_.size() == 1) top_key_ = name;
    next_ = &at->second;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool weighs(std::size_t more) {
    weight_ += more;
    return weight_ <= kDocumentNodesMax;
  }
  // Where the next value goes: the root, the place of the last key, the end of a list.
  Json* place() {
    if (open_.empty()) return &document.value;
    if (open_.back()->is_object()) return std::exchange(next_, nullptr);
    auto& list = open_.back()->get_ref<Json::array_t&>();
    return &list.emplace_back();
  }
  bool add(Json value) {
    *place() = std::move(value);
    return weighs(1);
  }
  bool open(Json value) {
    if (open_.size() >= kDocumentDepthMax) return false;
    Json* const here = place();
    *here = std::move(value);
    if (open_.size() < 2 && here->is_object())
      document.order[open_.empty() ? "" : top_key_];  // also if it is empty
    open_.push_back(here);
    return weighs(1);
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<Json*> open_;  // the values that are being read, each in the one before
  Json* next_ = nullptr;
  std::string top_key_;
  std::size_t weight_ = 0;
};

}  // namespace

std::optional<Document> read_json_document(std::string_view text) {
  if (text.size() > limits::kSpecBytesMax) return std::nullopt;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return std::nullopt;
  Builder builder;
  if (!Json::sax_parse(text, &builder)) return std::nullopt;
  return std::move(builder.document);
}

}  // namespace paddock::spec
