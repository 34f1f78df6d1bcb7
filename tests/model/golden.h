// tests/model/golden.h – the golden cases of tests/golden/manifest.json as tensors.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
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

  const torch::Tensor& at(const std::string& key) const {
    const auto it = tensors.find(key);
    if (it == tensors.end()) throw std::out_of_range(name + " has no tensor " + key);
    return it->second;
  }
  bool has(const std::string& key) const { return tensors.contains(key); }
  std::size_t count(const std::string& prefix) const { return without_prefix(prefix, tensors).size(); }
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

inline std::vector<GoldenCase> golden_cases(const std::string& kind) {
  const std::string folder = std::string(PADDOCK_SOURCE_DIR) + "/tests/golden/";
  std::ifstream in(folder + "manifest.json");
  std::vector<GoldenCase> cases;
  storage::RealDisk disk;
  const auto manifest =
      nlohmann::json::parse(in);  // named: a loop over a part of a temporary would see nothing
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("kind") != kind) continue;
    GoldenCase golden{entry.at("name"), entry.at("config"), entry.at("atol"), entry.at("rtol"), {}};
    const auto file = storage::read_safetensors(disk, folder + entry.at("file").get<std::string>());
    if (!file) throw std::runtime_error(file.error().message);
    for (const auto& bytes : file->contents.tensors) golden.tensors.emplace(bytes.name, golden_tensor(bytes));
    cases.push_back(std::move(golden));
  }
  if (cases.empty())
    throw std::runtime_error("the manifest has no case of kind " + kind + ": nothing would be checked");
  return cases;
}

}  // namespace paddock::model
