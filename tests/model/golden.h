// tests/model/golden.h – the golden cases of a manifest as tensors: of tests/golden, or of $PADDOCK_GOLDEN_DIR.
// Nothing of a case is written in a test: sizes, seeds and counts come from its config and from its tensors, and a tensor
// that no test looked at is a failure.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "model/weights.h"
#include "storage/safetensors.h"

namespace paddock::model {

struct GoldenCase {
  std::string name;
  nlohmann::json config;
  double atol = 0, rtol = 0;
  TensorMap tensors;
  mutable std::set<std::string> looked_at = {};

  const torch::Tensor& at(const std::string& key) const {
    const auto it = tensors.find(key);
    if (it == tensors.end()) throw std::out_of_range(name + " has no tensor " + key);
    looked_at.insert(key);
    return it->second;
  }
  bool has(const std::string& key) const { return tensors.contains(key); }
  std::size_t count(const std::string& prefix) const { return without_prefix(prefix, tensors).size(); }
  // All whose names begin with `prefix`, without it.
  TensorMap below(const std::string& prefix) const {
    for (const auto& [key, tensor] : tensors)
      if (key.starts_with(prefix)) looked_at.insert(key);
    return without_prefix(prefix, tensors);
  }
  void expect_all_looked_at() const {
    for (const auto& [key, tensor] : tensors)
      EXPECT_TRUE(looked_at.contains(key)) << name << ": nothing was compared with " << key;
  }
  double number(const char* key) const { return config.at(key).get<double>(); }
  std::int64_t integer(const char* key) const { return config.at(key).get<std::int64_t>(); }

  // `given` against the golden tensor `key`, within this case's tolerance.
  void expect_near(const torch::Tensor& given, const std::string& key) const {
    expect_near(given, at(key), key);
  }
  void expect_near(const torch::Tensor& given, const torch::Tensor& wanted, const std::string& key) const {
    ASSERT_EQ(given.numel(), wanted.numel()) << name << " " << key;
    const auto a = given.detach().reshape(wanted.sizes()).to(torch::kFloat64), b = wanted.to(torch::kFloat64);
    const double excess = a.numel() == 0 ? 0 : ((a - b).abs() - rtol * b.abs()).max().item<double>();
    EXPECT_LE(excess, atol) << name << " " << key << ": off by " << (a - b).abs().max().item<double>();
  }
};

inline torch::Tensor golden_tensor(const storage::TensorBytes& bytes) {
  const std::map<std::string, torch::ScalarType> types{
      {"F32", torch::kFloat32}, {"F64", torch::kFloat64}, {"I64", torch::kInt64}, {"BOOL", torch::kBool}};
  auto tensor = torch::empty(bytes.shape, types.at(bytes.dtype));
  std::memcpy(tensor.data_ptr(), bytes.bytes.data(), bytes.bytes.size());
  return tensor;
}

inline std::string golden_folder() {
  const char* given = std::getenv("PADDOCK_GOLDEN_DIR");
  return (given != nullptr && *given != 0 ? std::string(given) : PADDOCK_SOURCE_DIR "/tests/golden") + "/";
}

inline nlohmann::json golden_manifest() {
  std::ifstream in(golden_folder() + "manifest.json");
  if (!in) throw std::runtime_error(golden_folder() + "manifest.json cannot be read");
  return nlohmann::json::parse(in);
}

inline std::vector<GoldenCase> golden_cases(const std::string& kind) {
  const std::string folder = golden_folder();
  std::vector<GoldenCase> cases;
  storage::RealDisk disk;
  const auto manifest = golden_manifest();  // named: a loop over a part of a temporary would see nothing
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("kind") != kind) continue;
    GoldenCase golden{entry.at("name"), entry.at("config"), entry.at("atol"), entry.at("rtol"), {}, {}};
    const auto file = storage::read_safetensors(disk, folder + entry.at("file").get<std::string>());
    if (!file) throw std::runtime_error(file.error().message);
    for (const auto& bytes : file->contents.tensors) golden.tensors.emplace(bytes.name, golden_tensor(bytes));
    cases.push_back(std::move(golden));
  }
  if (cases.empty())
    throw std::runtime_error(folder + "manifest.json has no case of kind " + kind +
                             ": nothing would be checked");
  return cases;
}

}  // namespace paddock::model
