"""Published tables and figures: the protocol of each as a study, and the paper's figures beside ours."""
