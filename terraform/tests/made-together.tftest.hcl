# Nothing that is counted may depend on what is unknown at plan.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "what_is_given_is_not_known_yet" {
  command = plan

  module {
    source = "./tests/made-together"
  }
}
