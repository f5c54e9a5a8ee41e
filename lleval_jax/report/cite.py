"""BibTeX of the methods behind a result."""

from lleval_jax.errors import require
from lleval_jax.values.results import Estimate, FitResult, Source

BIBTEX = {
    "polo2024tiny": """@inproceedings{polo2024tiny,
  title = {tinyBenchmarks: evaluating {LLMs} with fewer examples},
  author = {Maia Polo, Felipe and Weber, Lucas and Choshen, Leshem and Sun, Yuekai and Xu, Gongjun
    and Yurochkin, Mikhail},
  booktitle = {International Conference on Machine Learning},
  year = {2024},
  eprint = {2402.14992},
  archiveprefix = {arXiv}
}""",
    "polo2024prompteval": """@inproceedings{polo2024prompteval,
  title = {Efficient multi-prompt evaluation of {LLMs}},
  author = {Maia Polo, Felipe and Xu, Ronald and Weber, Lucas and Silva, M{\\'i}rian and Bhardwaj, Onkar
    and Choshen, Leshem and de Oliveira, Allysson Flavio Melo and Sun, Yuekai and Yurochkin, Mikhail},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {37},
  year = {2024},
  eprint = {2405.17202},
  archiveprefix = {arXiv}
}""",
    "polo2024sloth": """@article{polo2024sloth,
  title = {Sloth: scaling laws for {LLM} skills to predict multi-benchmark performance across families},
  author = {Maia Polo, Felipe and Somerstep, Seamus and Choshen, Leshem and Sun, Yuekai and Yurochkin, Mikhail},
  journal = {arXiv preprint arXiv:2412.06540},
  year = {2024}
}""",
    "shabtay2024livexiv": """@article{shabtay2024livexiv,
  title = {{LiveXiv}: a multi-modal live benchmark based on {arXiv} papers content},
  author = {Shabtay, Nimrod and Maia Polo, Felipe and Doveh, Sivan and Lin, Wei and Mirza, M. Jehanzeb
    and Choshen, Leshem and Yurochkin, Mikhail and Sun, Yuekai
    and Arbelle, Assaf and Karlinsky, Leonid and Giryes, Raja},
  journal = {arXiv preprint arXiv:2410.10783},
  year = {2024}
}""",
    "ge2026psychometrics": """@article{ge2026psychometrics,
  title = {Agent psychometrics: Task-level performance prediction in agentic coding benchmarks},
  author = {Ge, Chris and Kryvosheieva, Daria and Fried, Daniel and Girit, Uzay and Hariharan, Kaivalya},
  journal = {arXiv preprint arXiv:2604.00594},
  year = {2026}
}""",
    "bock1981marginal": """@article{bock1981marginal,
  title = {Marginal maximum likelihood estimation of item parameters: application of an {EM} algorithm},
  author = {Bock, R. Darrell and Aitkin, Murray},
  journal = {Psychometrika},
  volume = {46},
  number = {4},
  pages = {443--459},
  year = {1981}
}""",
    "lord1980": """@book{lord1980,
  title = {Applications of item response theory to practical testing problems},
  author = {Lord, Frederic M.},
  publisher = {Lawrence Erlbaum},
  year = {1980}
}""",
    "desraj1956": """@article{desraj1956,
  title = {Some estimators in sampling with varying probabilities without replacement},
  author = {{Des Raj}},
  journal = {Journal of the American Statistical Association},
  volume = {51},
  number = {274},
  pages = {269--284},
  year = {1956}
}""",
    "zrnic2024active": """@inproceedings{zrnic2024active,
  title = {Active statistical inference},
  author = {Zrnic, Tijana and Cand{\\`e}s, Emmanuel J.},
  booktitle = {International Conference on Machine Learning},
  year = {2024},
  eprint = {2403.03208},
  archiveprefix = {arXiv}
}""",
    "angelopoulos2023ppi": """@article{angelopoulos2023ppi,
  title = {Prediction-powered inference},
  author = {Angelopoulos, Anastasios N. and Bates, Stephen and Fannjiang, Clara and Jordan, Michael I.
    and Zrnic, Tijana},
  journal = {Science},
  volume = {382},
  number = {6671},
  pages = {669--674},
  year = {2023}
}""",
    "angelopoulos2024ppipp": """@article{angelopoulos2024ppipp,
  title = {{PPI++}: efficient prediction-powered inference},
  author = {Angelopoulos, Anastasios N. and Duchi, John C. and Zrnic, Tijana},
  journal = {arXiv preprint arXiv:2311.01453},
  year = {2024}
}""",
    "waudbysmith2024time": """@article{waudbysmith2024time,
  title = {Time-uniform central limit theory and asymptotic confidence sequences},
  author = {Waudby-Smith, Ian and Arbour, David and Sinha, Ritwik and Kennedy, Edward H. and Ramdas, Aaditya},
  journal = {The Annals of Statistics},
  volume = {52},
  number = {6},
  year = {2024},
  eprint = {2103.06476},
  archiveprefix = {arXiv}
}""",
    "feffer2024prompt": """@inproceedings{feffer2024prompt,
  title = {Prompt Exploration with Prompt Regression},
  author = {Feffer, Michael and Xu, Ronald and Sun, Yuekai and Yurochkin, Mikhail},
  booktitle = {Conference on Language Modeling},
  year = {2024},
  eprint = {2405.11083},
  archiveprefix = {arXiv}
}""",
    "karnin2013almost": """@inproceedings{karnin2013almost,
  title = {Almost optimal exploration in multi-armed bandits},
  author = {Karnin, Zohar and Koren, Tomer and Somekh, Oren},
  booktitle = {International Conference on Machine Learning},
  year = {2013}
}""",
    "russo2016simple": """@inproceedings{russo2016simple,
  title = {Simple {Bayesian} algorithms for best arm identification},
  author = {Russo, Daniel},
  booktitle = {Conference on Learning Theory},
  year = {2016}
}""",
    "warm1989": """@article{warm1989,
  title = {Weighted likelihood estimation of ability in item response theory},
  author = {Warm, Thomas A.},
  journal = {Psychometrika},
  volume = {54},
  number = {3},
  pages = {427--450},
  year = {1989}
}""",
    "wilson1927": """@article{wilson1927,
  title = {Probable inference, the law of succession, and statistical inference},
  author = {Wilson, Edwin B.},
  journal = {Journal of the American Statistical Association},
  volume = {22},
  number = {158},
  pages = {209--212},
  year = {1927}
}""",
    "miller2024errorbars": """@article{miller2024errorbars,
  title = {Adding error bars to evals: a statistical approach to language model evaluations},
  author = {Miller, Evan},
  journal = {arXiv preprint arXiv:2411.00640},
  year = {2024}
}""",
    "bell2002bias": """@article{bell2002bias,
  title = {Bias reduction in standard errors for linear regression with multi-stage samples},
  author = {Bell, Robert M. and McCaffrey, Daniel F.},
  journal = {Survey Methodology},
  volume = {28},
  number = {2},
  pages = {169--181},
  year = {2002}
}""",
    "cochran1977": """@book{cochran1977,
  title = {Sampling techniques},
  author = {Cochran, William G.},
  edition = {3rd},
  publisher = {Wiley},
  year = {1977}
}""",
    "bonett2012adjusted": """@article{bonett2012adjusted,
  title = {Adjusted {Wald} confidence interval for a difference of binomial proportions based on paired data},
  author = {Bonett, Douglas G. and Price, Robert M.},
  journal = {Journal of Educational and Behavioral Statistics},
  volume = {37},
  number = {4},
  pages = {479--488},
  year = {2012}
}""",
    "bradley1952rank": """@article{bradley1952rank,
  title = {Rank analysis of incomplete block designs: {I}. The method of paired comparisons},
  author = {Bradley, Ralph Allan and Terry, Milton E.},
  journal = {Biometrika},
  volume = {39},
  number = {3/4},
  pages = {324--345},
  year = {1952}
}""",
    "davidson1970extending": """@article{davidson1970extending,
  title = {On extending the {Bradley-Terry} model to accommodate ties in paired comparison experiments},
  author = {Davidson, Roger R.},
  journal = {Journal of the American Statistical Association},
  volume = {65},
  number = {329},
  pages = {317--328},
  year = {1970}
}""",
    "phan2019numpyro": """@article{phan2019numpyro,
  title = {Composable effects for flexible and accelerated probabilistic programming in {NumPyro}},
  author = {Phan, Du and Pradhan, Neeraj and Jankowiak, Martin},
  journal = {arXiv preprint arXiv:1912.11554},
  year = {2019}
}""",
    "tango1998equivalence": """@article{tango1998equivalence,
  title = {Equivalence test and confidence interval for the difference in proportions for the paired-sample design},
  author = {Tango, Toshiro},
  journal = {Statistics in Medicine},
  volume = {17},
  number = {8},
  pages = {891--908},
  year = {1998}
}""",
    "romano2005exact": """@article{romano2005exact,
  title = {Exact and approximate stepdown methods for multiple hypothesis testing},
  author = {Romano, Joseph P. and Wolf, Michael},
  journal = {Journal of the American Statistical Association},
  volume = {100},
  number = {469},
  pages = {94--108},
  year = {2005}
}""",
    "westfall1993resampling": """@book{westfall1993resampling,
  title = {Resampling-based multiple testing},
  author = {Westfall, Peter H. and Young, S. Stanley},
  publisher = {Wiley},
  year = {1993}
}""",
    "mcnemar1947": """@article{mcnemar1947,
  title = {Note on the sampling error of the difference between correlated proportions or percentages},
  author = {McNemar, Quinn},
  journal = {Psychometrika},
  volume = {12},
  number = {2},
  pages = {153--157},
  year = {1947}
}""",
    "ngweta2024aligners": """@inproceedings{ngweta2024aligners,
  title = {Aligners: Decoupling {LLMs} and Alignment},
  author = {Ngweta, Lilian and Agarwal, Mayank and Maity, Subha and Gittens, Alex and Sun, Yuekai and
            Yurochkin, Mikhail},
  booktitle = {Findings of the Association for Computational Linguistics: EMNLP},
  year = {2024},
  eprint = {2403.04224},
  archiveprefix = {arXiv}
}""",
    "somerstep2024transfer": """@inproceedings{somerstep2024transfer,
  title = {A transfer learning framework for weak-to-strong generalization},
  author = {Somerstep, Seamus and Maia Polo, Felipe and Banerjee, Moulinath and Ritov, Ya'acov and Yurochkin, Mikhail
    and Sun, Yuekai},
  booktitle = {International Conference on Learning Representations},
  year = {2025},
  eprint = {2405.16236},
  archiveprefix = {arXiv}
}""",
}


def cite(result: Estimate | FitResult | Source) -> str:
    """The BibTeX of what was used, one entry a method. A method of another package brings its own entry."""
    source = result if isinstance(result, Source) else result.source
    for key in source.cite:
        known = key in BIBTEX or key.startswith("@")
        require(known, f"there is no BibTeX for {key!r}; there is for {', '.join(BIBTEX)}")
    return "\n\n".join(BIBTEX.get(key, key) for key in source.cite)
