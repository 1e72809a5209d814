"""What is asked of a student, as losses. Each is a mean over the texts of a batch; smaller is closer to the teacher.

Knows formulas. Knows nothing of models, texts or files. Needs torch.
"""

import torch
from torch.nn import functional


def vector_loss(student: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - cosine to the target; for unit vectors half the squared distance.

    Shapes:
        student, target: (B, D)
    """
    return (1 - functional.cosine_similarity(student, target)).mean()


def relation_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """How differently student and teacher say who in the batch is near to whom.

        p_ij = softmax over j != i of teacher_i . teacher_j / t,  q_ij likewise of the student
        loss = 1/B sum_i KL(p_i || q_i)

    Needs no common width and no projection: only similarities are compared.

    Shapes:
        student: (B, D), teacher: (B, E), unit length

    Source: Park et al. 2019, "Relational knowledge distillation", arXiv:1904.05068; with a softmax, Fang et al. 2021,
    "SEED", arXiv:2101.04731
    """
    itself = torch.eye(len(student), dtype=torch.bool)
    ours = (student @ student.T / temperature).masked_fill(itself, -1e4)
    theirs = (teacher @ teacher.T / temperature).masked_fill(itself, -1e4)
    return functional.kl_div(ours.log_softmax(dim=1), theirs.log_softmax(dim=1), log_target=True, reduction="batchmean")


def similarity_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the two matrices of cosines within the batch.

    Source: Tung and Mori 2019, "Similarity-preserving knowledge distillation", arXiv:1907.09682
    """
    return functional.mse_loss(student @ student.T, teacher @ teacher.T)


def hidden_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two hidden states, over what is none of the padding.

    Shapes:
        student, teacher: (B, T, D); mask: (B, T), 1 where there is a token

    Source: Jiao et al. 2020, "TinyBERT", equation 8, arXiv:1909.10351
    """
    each = (student - teacher).square().mean(dim=-1)
    return (each * mask).sum() / mask.sum()


def logit_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """What the teacher finds likely besides the right answer.

        p = softmax(teacher / t),  q = softmax(student / t),  loss = t^2 KL(p || q)

    t^2 keeps the gradient's size when t changes: it falls with 1 / t^2.

    Shapes:
        student, teacher: (..., C)

    Source: Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network", arXiv:1503.02531
    """
    classes = student.shape[-1]
    ours = (student / temperature).log_softmax(dim=-1).reshape(-1, classes)
    theirs = (teacher / temperature).log_softmax(dim=-1).reshape(-1, classes)
    return temperature**2 * functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")
