#include "jobs/spec/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "base/limits.h"
#include "jobs/spec/option_table.h"

namespace paddock::spec {
namespace {

constexpr std::size_t kLinesDepthMax =
    8;  // no option is deeper, and a hostile text cannot make the table large

struct Node {
  Json scalar;
  bool is_map = false;
  bool is_list = false;
  int line = 0;                   // of the value
  std::size_t weight = 1;         // itself and all below, aliases expanded; long text weighs more
  std::vector<std::string> keys;  // of a map, as written
  std::vector<int> key_lines;
  std::vector<Node> children;
};

std::string located(const std::string& file, int line, std::string_view message) {
  return file + ":" + std::to_string(line) + ": " + std::string(message);
}

// Line of the first byte that is not UTF-8 text, or is a NUL. RFC 3629: shortest form, no surrogates.
std::optional<int> bad_byte_line(std::string_view text) {
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned first = byte(i);
    if (first == '\n') ++line;
    if (first == 0) return line;
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || i + length > text.size()) return line;
    std::uint32_t point = first & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0u) != 0x80u) return line;
      point = (point << 6) | (byte(i + k) & 0x3Fu);
    }
    if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10FFFF)) ||
        (point >= 0xD800 && point <= 0xDFFF)) {
      return line;
    }
    i += length;
  }
  return std::nullopt;
}

// The core schema's types of a plain scalar; text when it is none of them.
Json typed(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (text.find_first_not_of("0123456789+-.eE") != std::string::npos) return text;
  const char* begin = text.data() + (text.front() == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  if (begin != end && *begin == '-' && begin != text.data()) return text;  // "+-1"
  std::int64_t integer = 0;
  if (const auto [stop, error] = std::from_chars(begin, end, integer); error == std::errc() && stop == end)
    return integer;
  double number = 0;
  if (const auto [stop, error] = std::from_chars(begin, end, number); error == std::errc() && stop == end)
    return number;
  return text;
}

// Builds the tree from yaml-cpp's events. After the first problem it lets the rest pass: throwing through the
// parser is not ours to do, and the text is bounded.
class Builder : public YAML::EventHandler {
 public:
  const std::optional<std::pair<int, std::string>>& problem() const { return problem_; }
  bool has_root() const { return root_.has_value(); }
  const Node& root() const { return *root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(leaf(mark, nullptr), anchor, 1); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (problem_) return;
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) return refuse(mark, "an alias within its own anchor");
    add(target->second, 0, target->second.weight);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (problem_) return;
    if (text.find('\0') != std::string::npos) return refuse(mark, "text holds a NUL character");
    const bool is_text = tag == "!" || tag == "tag:yaml.org,2002:str" || expects_key();
    if (is_text || tag == "?" || tag.empty()) {
      Node node = leaf(mark, is_text ? Json(text) : typed(text));
      const std::size_t weight = node.weight;
      return add(std::move(node), anchor, weight);
    }
    refuse(mark, "the tag " + tag.substr(0, 60) + " is not known, leave it out");
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, false);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, true);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::set<std::string> keys;
    bool has_key = false;  // the next value belongs to the last key
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }
  static Node leaf(const YAML::Mark& mark, Json scalar) {
    Node node;
    if (scalar.is_string()) node.weight += scalar.get_ref<const std::string&>().size() / 64;
    node.scalar = std::move(scalar);
    node.line = line_of(mark);
    return node;
  }
  void refuse(const YAML::Mark& mark, std::string message) { refuse(line_of(mark), std::move(message)); }
  void refuse(int line, std::string message) {
    if (!problem_) problem_.emplace(line, std::move(message));
  }
  bool expects_key() const { return !stack_.empty() && stack_.back().node.is_map && !stack_.back().has_key; }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map) {
    if (problem_) return;
    if (stack_.size() >= kDocumentDepthMax) {
      return refuse(mark, "nested more than " + std::to_string(kDocumentDepthMax) + " deep");
    }
    if (expects_key()) return refuse(mark, "a key must be text");
    Frame frame;
    frame.node.is_map = is_map;
    frame.node.is_list = !is_map;
    frame.node.line = line_of(mark);
    frame.anchor = anchor;
    stack_.push_back(std::move(frame));
  }

  void close() {
    if (problem_) return;
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    add(std::move(frame.node), frame.anchor, 1);
  }

  // `more`: the weight this adds to what has been counted.
  void add(Node node, YAML::anchor_t anchor, std::size_t more) {
    if (problem_) return;
    weight_ += more;
    if (weight_ > kDocumentNodesMax) {
      return refuse(node.line,
                    "more than " + std::to_string(kDocumentNodesMax) + " values, aliases expanded");
    }
    if (anchor != 0) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& parent = stack_.back();
    if (expects_key()) return add_key(parent, node);
    parent.node.weight += node.weight;
    parent.node.children.push_back(std::move(node));
    parent.has_key = false;
  }

  void add_key(Frame& parent, const Node& node) {
    if (node.is_map || node.is_list || !node.scalar.is_string())
      return refuse(node.line, "a key must be text");
    const auto key = node.scalar.get<std::string>();
    if (key.size() > limits::kNameBytesMax) {
      return refuse(node.line, "a key of " + std::to_string(key.size()) + " bytes, must have at most " +
                                   std::to_string(limits::kNameBytesMax));
    }
    if (!parent.keys.insert(key).second) return refuse(node.line, "key `" + key + "` stands here twice");
    parent.node.keys.push_back(key);
    parent.node.key_lines.push_back(node.line);
    parent.has_key = true;
  }

  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::optional<Node> root_;
  std::optional<std::pair<int, std::string>> problem_;
  std::size_t weight_ = 0;
};

Json to_value(const Node& node, const std::string& path, std::size_t depth, Document& document) {
  if (node.is_list) {
    Json list = Json::array();
    for (const Node& child : node.children) list.push_back(to_value(child, path, depth + 1, document));
    return list;
  }
  if (!node.is_map) return node.scalar;
  if (depth < 2) document.order[path] = node.keys;
  Json map = Json::object();
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string below = join_path(path, node.keys[i]);
    if (depth < kLinesDepthMax) document.lines.emplace(below, node.key_lines[i]);
    map[node.keys[i]] = to_value(node.children[i], below, depth + 1, document);
  }
  return map;
}

}  // namespace

int Document::line_of(std::string_view path) const {
  while (!path.empty()) {
    if (const auto found = lines.find(std::string(path)); found != lines.end()) return found->second;
    const std::size_t dot = path.rfind('.');
    path = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  }
  return 1;
}

Result<Document> read_document(std::string_view text, const std::string& file) {
  if (text.size() > limits::kSpecBytesMax) {
    return fail(Code::kInvalid, file + ": has " + std::to_string(text.size()) + " bytes, must be at most " +
                                    std::to_string(limits::kSpecBytesMax));
  }
  if (const auto line = bad_byte_line(text))
    return fail(Code::kInvalid, located(file, *line, "is not UTF-8 text"));
  Builder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) || (!builder.has_root() && !builder.problem())) {
      return fail(Code::kInvalid,
                  located(file, 1, "is empty, must hold a graph; examples/first-light.yaml is one"));
    }
    if (builder.problem())
      return fail(Code::kInvalid, located(file, builder.problem()->first, builder.problem()->second));
    Builder second;
    if (parser.HandleNextDocument(second)) {
      const int line = second.has_root() ? second.root().line : 1;
      return fail(Code::kInvalid, located(file, line, "a second document, must be one graph a file"));
    }
    Document document;
    document.value = to_value(builder.root(), "", 0, document);
    return document;
  } catch (const YAML::Exception& error) {
    return fail(Code::kInvalid, located(file, std::max(error.mark.line, 0) + 1, "is not YAML: " + error.msg));
  } catch (const std::exception& error) {
    return fail(Code::kInvalid, located(file, 1, std::string("cannot be read as YAML: ") + error.what()));
  }
}

}  // namespace paddock::spec
