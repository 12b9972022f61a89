"""A recorded incident log, with where it is from, and the policy that its replay is shown with."""
